#include "daemon/pluginctl/testing/fake_plugin.h"

#include <gtest/gtest.h>

#include <chrono>
#include <thread>
#include <utility>

#include "daemon/pluginctl/testing/fake_daemon.h"

namespace plugind::pluginctl::testing {
namespace {

using google::protobuf::DescriptorPool;
using google::protobuf::FileDescriptor;
using grpc::reflection::v1::ServerReflectionRequest;
using grpc::reflection::v1::ServerReflectionResponse;

constexpr auto kPatience = std::chrono::seconds(20);
constexpr auto kCancelPoll =
    std::chrono::milliseconds(5);  // gRPC's synchronous server tells nobody that a client hung up

grpc::Status CheckName(const std::multimap<grpc::string_ref, grpc::string_ref>& metadata) {
  const auto found = metadata.find("plugind-plugin");
  const std::string name =
      found == metadata.end() ? "" : std::string(found->second.data(), found->second.size());
  if (name == FakePlugin::kName) return grpc::Status::OK;
  return RichStatus(grpc::StatusCode::NOT_FOUND, "no such plugin", "PLUGIN_NOT_FOUND");
}

}  // namespace

// Serves reflection, or ends a call of anything else.
class FakePlugin::ReflectionCall final : public grpc::ServerGenericBidiReactor {
 public:
  ReflectionCall(const FakePlugin& plugin, grpc::Status end) : plugin_(plugin) {
    if (end.ok()) {
      StartRead(&received_);
    } else {
      Finish(std::move(end));
    }
  }

 private:
  void OnReadDone(bool ok) override {
    if (!ok) {
      Finish(grpc::Status::OK);
      return;
    }
    grpc::Slice bytes;
    ServerReflectionRequest question;
    EXPECT_TRUE(received_.DumpToSingleSlice(&bytes).ok());
    EXPECT_TRUE(question.ParseFromArray(bytes.begin(), static_cast<int>(bytes.size())));
    const grpc::Slice answer(plugin_.Answer(question).SerializeAsString());
    sent_ = grpc::ByteBuffer(&answer, 1);
    StartWrite(&sent_);
  }
  void OnWriteDone(bool ok) override {
    if (ok) StartRead(&received_);
    if (!ok) Finish(grpc::Status::CANCELLED);
  }
  void OnDone() override { delete this; }

  const FakePlugin& plugin_;
  grpc::ByteBuffer received_, sent_;
};

// gRPC lets no server have one that another has had.
class FakePlugin::ReflectionService final : public grpc::CallbackGenericService {
 public:
  explicit ReflectionService(FakePlugin& plugin) : plugin_(plugin) {}

 private:
  grpc::ServerGenericBidiReactor* CreateReactor(
      grpc::GenericCallbackServerContext* context) override {
    return plugin_.Reflect(context);
  }

  FakePlugin& plugin_;
};

void FakePlugin::Register(grpc::ServerBuilder* builder) {
  builder->RegisterService(static_cast<echo::v1::Echo::Service*>(this));
  reflection_service_ = std::make_unique<ReflectionService>(*this);
  builder->RegisterCallbackGenericService(reflection_service_.get());
}

void FakePlugin::Offer(Reflection reflection) {
  const std::lock_guard lock(mutex_);
  reflection_ = reflection;
}

void FakePlugin::Describe(std::vector<google::protobuf::FileDescriptorProto> files) {
  std::vector<std::string> bytes;
  for (const auto& file : files) bytes.push_back(file.SerializeAsString());
  DescribeInBytes(std::move(bytes));
}

void FakePlugin::DescribeInBytes(std::vector<std::string> files) {
  const std::lock_guard lock(mutex_);
  files_ = std::move(files);
}

void FakePlugin::FailReflection(grpc::Status status) {
  const std::lock_guard lock(mutex_);
  reflection_end_ = std::move(status);
}

void FakePlugin::LoseReflection(int questions) {
  const std::lock_guard lock(mutex_);
  to_lose_ = questions;
}

int FakePlugin::calls() const {
  const std::lock_guard lock(mutex_);
  return calls_;
}

std::string FakePlugin::Received(const std::string& key) const {
  const std::lock_guard lock(mutex_);
  const auto found = received_.find(key);
  return found == received_.end() ? "" : found->second;
}

void FakePlugin::AwaitCalls(int count) const {
  std::unique_lock lock(mutex_);
  ASSERT_TRUE(changed_.wait_for(lock, kPatience, [&] { return calls_ >= count; })) << calls_;
}

void FakePlugin::AwaitCancelled(int count) const {
  std::unique_lock lock(mutex_);
  ASSERT_TRUE(changed_.wait_for(lock, kPatience, [&] { return cancelled_ >= count; }))
      << cancelled_;
}

grpc::Status FakePlugin::Admit(Context* context) {
  const grpc::Status status = CheckName(context->client_metadata());
  if (!status.ok()) return status;
  const std::lock_guard lock(mutex_);
  ++calls_;
  received_.clear();
  for (const auto& [key, value] : context->client_metadata())
    received_.emplace(std::string(key.data(), key.size()), std::string(value.data(), value.size()));
  changed_.notify_all();
  return status;
}

void FakePlugin::NoteCancelled(Context* context) {
  if (!context->IsCancelled()) return;
  const std::lock_guard lock(mutex_);
  ++cancelled_;
  changed_.notify_all();
}

grpc::Status FakePlugin::Say(Context* context, const Message* request, Message* response) {
  if (const grpc::Status status = Admit(context); !status.ok()) return status;
  context->AddInitialMetadata("begun", "yes");
  context->AddTrailingMetadata("ended-bin", std::string("\0\1", 2));
  *response = *request;
  return grpc::Status::OK;
}

grpc::Status FakePlugin::Collect(Context* context, grpc::ServerReader<Message>* reader,
                                 Message* response) {
  if (const grpc::Status status = Admit(context); !status.ok()) return status;
  for (Message message; reader->Read(&message);) {
    response->set_text(response->text() + message.text());
    response->set_number(response->number() + 1);
  }
  NoteCancelled(context);
  return grpc::Status::OK;
}

grpc::Status FakePlugin::Repeat(Context* context, const Message* request,
                                grpc::ServerWriter<Message>* writer) {
  if (const grpc::Status status = Admit(context); !status.ok()) return status;
  for (int64_t i = 0; i < request->number(); ++i) writer->Write(*request);
  return grpc::Status::OK;
}

grpc::Status FakePlugin::Chat(Context* context, grpc::ServerReaderWriter<Message, Message>* both) {
  if (const grpc::Status status = Admit(context); !status.ok()) return status;
  for (Message message; both->Read(&message);) {
    if (message.text() == "leave") return {grpc::StatusCode::ABORTED, "left"};
    both->Write(message);
  }
  NoteCancelled(context);
  return grpc::Status::OK;
}

grpc::Status FakePlugin::Fail(Context* context, const echo::v1::Failure* request, Message*) {
  if (const grpc::Status status = Admit(context); !status.ok()) return status;
  if (!request->executed().empty())
    context->AddTrailingMetadata("plugind-executed", request->executed());
  const auto code = static_cast<grpc::StatusCode>(request->code());
  if (request->reason().empty()) return {code, request->message()};
  return RichStatus(code, request->message(), request->reason(), {{"field", "what is wrong"}});
}

grpc::Status FakePlugin::Hang(Context* context, const Message*, grpc::ServerWriter<Message>*) {
  if (const grpc::Status status = Admit(context); !status.ok()) return status;
  while (!context->IsCancelled()) std::this_thread::sleep_for(kCancelPoll);
  NoteCancelled(context);
  return grpc::Status::CANCELLED;
}

grpc::ServerGenericBidiReactor* FakePlugin::Reflect(grpc::GenericCallbackServerContext* context) {
  grpc::Status end = CheckName(context->client_metadata());
  const std::lock_guard lock(mutex_);
  const std::string version = reflection_ == Reflection::kV1 ? "v1" : "v1alpha";
  const bool offered =
      reflection_ != Reflection::kNone &&
      context->method() == "/grpc.reflection." + version + ".ServerReflection/ServerReflectionInfo";
  if (end.ok()) end = offered ? reflection_end_ : grpc::Status(grpc::StatusCode::UNIMPLEMENTED, "");
  if (end.ok() && to_lose_ > 0) {
    --to_lose_;
    context->AddTrailingMetadata("plugind-executed", "maybe");
    end = RichStatus(grpc::StatusCode::UNAVAILABLE, "lost", "PLUGIN_LOST");
  }
  return new ReflectionCall(*this, std::move(end));
}

ServerReflectionResponse FakePlugin::Answer(const ServerReflectionRequest& question) const {
  const std::lock_guard lock(mutex_);
  ServerReflectionResponse answer;
  if (question.has_list_services()) {
    answer.mutable_list_services_response()->add_service()->set_name("echo.v1.Echo");
    return answer;
  }
  auto* files = answer.mutable_file_descriptor_response();
  if (files_) {
    for (const std::string& bytes : *files_) {
      google::protobuf::FileDescriptorProto file;
      if (question.has_file_by_filename() &&
          !(file.ParseFromString(bytes) && file.name() == question.file_by_filename()))
        continue;
      files->add_file_descriptor_proto(bytes);
    }
    return answer;
  }
  const DescriptorPool& pool = *DescriptorPool::generated_pool();
  const FileDescriptor* found =
      question.has_file_by_filename()
          ? pool.FindFileByName(question.file_by_filename())
          : pool.FindFileContainingSymbol(question.file_containing_symbol());
  // Without the files that it imports: a server need not send them unasked.
  if (found != nullptr && found->package() == "echo.v1") {
    google::protobuf::FileDescriptorProto file;
    found->CopyTo(&file);
    files->add_file_descriptor_proto(file.SerializeAsString());
  } else {
    answer.mutable_error_response()->set_error_code(grpc::StatusCode::NOT_FOUND);
  }
  return answer;
}

}  // namespace plugind::pluginctl::testing
