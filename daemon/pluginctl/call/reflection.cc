#include "daemon/pluginctl/call/reflection.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "daemon/pluginctl/call/descriptor_size.h"
#include "daemon/pluginctl/call/generic_call.h"

namespace plugind::pluginctl {
namespace {

using google::protobuf::FileDescriptorProto;

// v1alpha has the same messages under other names.
constexpr std::array kPaths = {"/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
                               "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"};

// More than plugind holds a call for a plugin that is on its way back.
constexpr Duration kAnswerWithin = std::chrono::seconds(30);

// Far beyond any plugin's.
constexpr size_t kMostQuestions = 1000;
constexpr int kMostLosses = 3;
constexpr size_t kMostFiles = 1000;
constexpr size_t kMostBytes = 8 << 20;
constexpr size_t kMostNameBytes = 64 << 20;

grpc::Status TooMuch(const std::string& what) {
  return {grpc::StatusCode::RESOURCE_EXHAUSTED,
          fmt::format("the plugin's reflection has {}; --proto does without it", what)};
}

}  // namespace

Reflection::Reflection(Connection& connection, std::shared_ptr<grpc::Channel> channel,
                       Metadata metadata, Deadline deadline)
    : connection_(connection),
      channel_(std::move(channel)),
      metadata_(std::move(metadata)),
      deadline_(deadline) {}

grpc::Status Reflection::ListServices(std::vector<std::string>* names) {
  Request request;
  request.set_list_services("*");
  Response response;
  const grpc::Status status = Ask(request, &response);
  if (!status.ok()) return status;
  for (const auto& service : response.list_services_response().service())
    names->push_back(service.name());
  std::ranges::sort(*names);
  return status;
}

bool Reflection::FindFileByName(const std::string& name, FileDescriptorProto* file) {
  if (well_known_.FindFileByName(name, file) || known_.FindFileByName(name, file)) return true;
  Request request;
  request.set_file_by_filename(name);
  return Learn(request) && known_.FindFileByName(name, file);
}

bool Reflection::FindFileContainingSymbol(const std::string& symbol, FileDescriptorProto* file) {
  if (IsWellKnownPackage(symbol)) return well_known_.FindFileContainingSymbol(symbol, file);
  if (known_.FindFileContainingSymbol(symbol, file)) return true;
  Request request;
  request.set_file_containing_symbol(symbol);
  return Learn(request) && known_.FindFileContainingSymbol(symbol, file);
}

bool Reflection::Learn(const Request& request) {
  if (!failure_.ok()) return false;
  Response response;
  failure_ = Ask(request, &response);
  for (const std::string& bytes : response.file_descriptor_response().file_descriptor_proto()) {
    if (!failure_.ok()) break;
    failure_ = Keep(bytes);
  }
  return failure_.ok();
}

grpc::Status Reflection::Keep(const std::string& bytes) {
  bytes_ += bytes.size();
  if (bytes_ > kMostBytes) return TooMuch(fmt::format("more than {} MiB", kMostBytes >> 20));
  FileDescriptorProto file;
  if (!file.ParseFromString(bytes))  // at most 100 levels deep: protobuf's own limit
    return {grpc::StatusCode::DATA_LOSS, "the plugin's reflection has a file that is none"};
  if (IsWellKnownPackage(file.package())) return grpc::Status::OK;
  FileDescriptorProto same;
  if (known_.FindFileByName(file.name(), &same)) return grpc::Status::OK;
  if (++files_ > kMostFiles) return TooMuch(fmt::format("more than {} files", kMostFiles));
  name_bytes_ += FullNameBytes(file);
  if (name_bytes_ > kMostNameBytes) return TooMuch("names beyond measure");
  if (!known_.Add(file))
    return {grpc::StatusCode::DATA_LOSS,
            fmt::format("the plugin's reflection has a file that defines what another does: {}",
                        file.name())};
  return grpc::Status::OK;
}

grpc::Status Reflection::Ask(const Request& request, Response* response) {
  for (int losses = 0;;) {
    if (++questions_ > kMostQuestions) return TooMuch("no end");
    const Deadline soon = std::min(deadline_, DeadlineAfter(kAnswerWithin));
    grpc::Status status = connection_.Retry(
        soon, [&](grpc::ClientContext* context) { return AskOnce(context, request, response); });
    // The plugin died under the question: the next one is held until it is back.
    const bool lost = status.error_code() == grpc::StatusCode::UNAVAILABLE && ended_by_plugind_;
    const bool other_version =
        status.error_code() == grpc::StatusCode::UNIMPLEMENTED && version_ + 1 < kPaths.size();
    if (other_version) ++version_;
    if (!other_version && !(lost && ++losses < kMostLosses)) return status;
  }
}

grpc::Status Reflection::AskOnce(grpc::ClientContext* context, const Request& request,
                                 Response* response) {
  for (const auto& [key, value] : metadata_) context->AddMetadata(key, value);
  GenericCall call(channel_, kPaths.at(version_), context);
  call.Send(request.SerializeAsString(), Follow::kNothing);
  std::string bytes, more;
  const bool answered = call.Receive(&bytes);
  if (answered && call.Receive(&more)) context->TryCancel();
  grpc::Status status = call.Finish();
  ended_by_plugind_ = context->GetServerTrailingMetadata().contains(kExecutedKey);
  if (answered && !more.empty()) status = grpc::Status::OK;
  if (status.ok() && !(answered && response->ParseFromString(bytes)))
    return {grpc::StatusCode::DATA_LOSS, "the plugin's reflection has no answer"};
  return status;
}

}  // namespace plugind::pluginctl
