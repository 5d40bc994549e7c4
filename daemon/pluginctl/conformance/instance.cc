#include "daemon/pluginctl/conformance/instance.h"

#include <array>
#include <thread>

#include "daemon/pluginctl/call/call_status.h"
#include "daemon/pluginctl/call/generic_call.h"
#include "daemon/pluginctl/text.h"
#include "grpc/health/v1/health.grpc.pb.h"
#include "plugin/go_plugin.grpc.pb.h"

namespace plugind::pluginctl::conformance {
namespace {

using grpc::health::v1::HealthCheckRequest;
using grpc::health::v1::HealthCheckResponse;

constexpr std::array kBuiltIn = {"config.reload", "drain", "peer.calls", "log.structured", "trace"};
constexpr const char* kBuiltInVersion = "1.0";
constexpr int kLargestMessage = 64 << 20;
constexpr Milliseconds kBetweenChecks{20};
// Waited for beyond the deadline, that "too late" can be told from "never".
constexpr Milliseconds kTooLate{1000};

std::shared_ptr<grpc::Channel> OpenChannel(const Handshake& handshake) {
  grpc::ChannelArguments arguments;
  arguments.SetString(GRPC_ARG_DEFAULT_AUTHORITY, "localhost");
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 50);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 500);
  // Two processes of a plugin may have sockets of the same path, one after the other.
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  arguments.SetMaxReceiveMessageSize(kLargestMessage);
  return grpc::CreateCustomChannel(Target(handshake), grpc::InsecureChannelCredentials(),
                                   arguments);
}

void SetLimit(grpc::ClientContext* context, Milliseconds limit) {
  context->set_deadline(std::chrono::system_clock::now() + limit);
  // The listener may be a moment behind the line that announced it; that has a rule of its own.
  context->set_wait_for_ready(true);
}

}  // namespace

std::string Words(const grpc::Status& status) {
  if (status.ok()) return "OK";
  constexpr size_t kShown = 300;
  return fmt::format("{}: {}", CodeName(status.error_code()),
                     Printable(status.error_message().substr(0, kShown)));
}

std::string Words(const contract::ConfigureResponse& response) {
  std::string words;
  for (const contract::Violation& each : response.violations()) {
    if (!words.empty()) words += "; ";
    if (!each.field().empty()) words += Printable(each.field()) + ": ";
    words += Printable(each.reason());
  }
  return words;
}

Instance::Instance(const Subject& subject, std::unique_ptr<HostProcess> process,
                   std::string directory, const std::vector<uint32_t>& offered, Deadline begun)
    : subject_(subject),
      process_(std::move(process)),
      directory_(std::move(directory)),
      offered_(offered) {
  AwaitHandshake(begun);
  if (Acceptable().ok()) channel_ = OpenChannel(handshake_);
}

void Instance::AwaitHandshake(Deadline begun) {
  const Deadline deadline = begun + subject_.timeout + kTooLate;
  while (const auto line = process_->NextLine(deadline)) {
    if (!LooksLikeHandshake(line->text)) {
      handshake_.before.push_back(line->text);
      continue;
    }
    handshake_.line = line->text;
    handshake_.whole = line->whole;
    handshake_.took = std::chrono::duration_cast<Milliseconds>(line->at - begun);
    handshake_.fields = SplitFields(line->text);
    handshake_.connected = Probe(handshake_);
    return;
  }
}

absl::Status Instance::NoHandshake() {
  std::string seen = "it printed no handshake";
  if (!handshake_.before.empty())
    seen += fmt::format(", but \"{}\"", Printable(handshake_.before.back()));
  if (const auto ended = process_->AwaitEnd(DeadlineAfter(Milliseconds(500)))) {
    seen += fmt::format(", and ended with {}", ended->Words());
  } else {
    seen +=
        fmt::format(" within {} ms, and is still running", (subject_.timeout + kTooLate).count());
  }
  return absl::FailedPreconditionError(seen);
}

absl::Status Instance::Acceptable() const {
  if (!has_handshake()) return absl::FailedPreconditionError("it printed no handshake");
  for (const std::string& wrong :
       {WrongFields(handshake_), WrongCore(handshake_), WrongProtocol(handshake_),
        WrongVersion(handshake_, offered_), WrongNetwork(handshake_, subject_.allow_tcp),
        WrongAddress(handshake_, directory_)}) {
    if (!wrong.empty()) return absl::FailedPreconditionError(wrong);
  }
  return absl::OkStatus();
}

std::string Instance::Death() {
  // A closed connection may be seen before the end of the process that closed it.
  const auto ended = process_->AwaitEnd(DeadlineAfter(Milliseconds(100)));
  return ended ? fmt::format("it has died ({})", ended->Words()) : "";
}

grpc::Status Instance::Check(const std::string& service, bool* serving, Milliseconds limit) {
  grpc::ClientContext context;
  SetLimit(&context, limit);
  HealthCheckRequest request;
  request.set_service(service);
  HealthCheckResponse response;
  const grpc::Status status =
      grpc::health::v1::Health::NewStub(channel_)->Check(&context, request, &response);
  *serving = status.ok() && response.status() == HealthCheckResponse::SERVING;
  return status;
}

absl::Status Instance::AwaitServing() {
  const Deadline deadline = DeadlineAfter(subject_.timeout);
  grpc::Status status;
  while (true) {
    bool serving = false;
    status = Check("plugin", &serving);
    if (status.error_code() == grpc::StatusCode::NOT_FOUND) status = Check("", &serving);
    if (serving) return absl::OkStatus();
    if (const std::string death = Death(); !death.empty())
      return absl::UnavailableError("before it was SERVING " + death);
    if (Passed(deadline) || status.error_code() == grpc::StatusCode::UNIMPLEMENTED) break;
    std::this_thread::sleep_for(kBetweenChecks);  // as a host polls; there is nothing to wait for
  }
  if (status.ok()) {
    return Error(absl::StatusCode::kDeadlineExceeded, "health says NOT_SERVING after {} ms",
                 subject_.timeout.count());
  }
  return Error(absl::StatusCode::kUnavailable,
               "health answers neither for \"plugin\" nor for \"\": {}", Words(status));
}

absl::Status Instance::StillServing(std::string_view after) {
  if (const auto ended = process_->AwaitEnd(std::chrono::steady_clock::now()))
    return Error(absl::StatusCode::kUnavailable, "{} it died ({})", after, ended->Words());
  bool serving = false;
  grpc::Status status = Check("plugin", &serving);
  if (status.error_code() == grpc::StatusCode::NOT_FOUND) status = Check("", &serving);
  if (serving) return absl::OkStatus();
  if (const std::string death = Death(); !death.empty())
    return Error(absl::StatusCode::kUnavailable, "{} {}", after, death);
  return Error(absl::StatusCode::kUnavailable, "{} its health is {}", after,
               status.ok() ? "NOT_SERVING" : Words(status));
}

grpc::Status Instance::Negotiate(const contract::NegotiateRequest& request,
                                 contract::NegotiateResponse* response) {
  grpc::ClientContext context;
  SetLimit(&context, kAnswer);
  return contract::Plugin::NewStub(channel_)->Negotiate(&context, request, response);
}

grpc::Status Instance::Configure(const contract::ConfigureRequest& request,
                                 contract::ConfigureResponse* response) {
  grpc::ClientContext context;
  SetLimit(&context, kAnswer);
  return contract::Plugin::NewStub(channel_)->Configure(&context, request, response);
}

grpc::Status Instance::Drain() {
  grpc::ClientContext context;
  SetLimit(&context, kAnswer);
  contract::DrainRequest request;
  request.mutable_timeout()->set_seconds(2);
  contract::DrainResponse response;
  return contract::Plugin::NewStub(channel_)->Drain(&context, request, &response);
}

grpc::Status Instance::Shutdown() {
  grpc::ClientContext context;
  SetLimit(&context, kAnswer);
  contract::ShutdownRequest request;
  request.mutable_timeout()->set_seconds(5);
  contract::ShutdownResponse response;
  return contract::Plugin::NewStub(channel_)->Shutdown(&context, request, &response);
}

grpc::Status Instance::ControllerShutdown() {
  grpc::ClientContext context;
  SetLimit(&context, kAnswer);
  ::plugin::Empty response;
  return ::plugin::GRPCController::NewStub(channel_)->Shutdown(&context, ::plugin::Empty(),
                                                               &response);
}

grpc::Status Instance::CallUnary(const std::string& method, const std::string& request,
                                 std::string* response, Milliseconds limit) {
  grpc::ClientContext context;
  SetLimit(&context, limit);
  GenericCall call(channel_, method, &context);
  call.Send(request, Follow::kNothing);
  std::string more;
  if (call.Receive(response) && call.Receive(&more)) context.TryCancel();
  return call.Finish();
}

contract::NegotiateRequest Instance::TodaysOffer() const {
  contract::NegotiateRequest request;
  request.set_host("plugind");
  request.set_host_version(PLUGIND_VERSION);
  request.set_plugin("plugin-test");
  request.set_instance("0");
  request.set_protocol_version(ParseNumber(handshake_.field(kApp)).value_or(0));
  for (const uint32_t version : offered_) request.add_offered_protocol_versions(version);
  for (const char* name : kBuiltIn) {
    contract::Capability* capability = request.add_capabilities();
    capability->set_name(name);
    capability->add_versions(kBuiltInVersion);
  }
  return request;
}

contract::ConfigureRequest Instance::Settings(const google::protobuf::Struct& settings) const {
  contract::ConfigureRequest request;
  *request.mutable_settings() = settings;
  for (const auto& [name, version] : agreed_) (*request.mutable_capabilities())[name] = version;
  request.set_generation(generation_ + 1);
  return request;
}

absl::Status Instance::Introduce() {
  const grpc::Status status = Negotiate(TodaysOffer(), &negotiated_);
  negotiates_ = status.error_code() != grpc::StatusCode::UNIMPLEMENTED;
  if (negotiates_ && !status.ok())
    return Error(absl::StatusCode::kUnavailable, "Negotiate ended with {}", Words(status));
  for (const contract::Capability& each : negotiated_.capabilities()) {
    const bool built_in = std::ranges::find(kBuiltIn, each.name()) != kBuiltIn.end();
    // Of its own capabilities whatever it insists on is agreed: which host has it is unknown here.
    if (built_in) {
      agreed_[each.name()] = kBuiltInVersion;
    } else if (each.required()) {
      agreed_[each.name()] = each.versions().empty() ? kBuiltInVersion : *each.versions().rbegin();
    }
  }
  configured_ = TryToConfigure(subject_.accepted,
                               subject_.accepted_given ? "what --config names" : "an empty table");
  configures_ = !absl::IsUnimplemented(configured_);
  return absl::OkStatus();
}

absl::Status Instance::TryToConfigure(const google::protobuf::Struct& settings,
                                      std::string_view what) {
  return TryToConfigure(Settings(settings), what);
}

absl::Status Instance::TryToConfigure(const contract::ConfigureRequest& request,
                                      std::string_view what) {
  contract::ConfigureResponse response;
  const grpc::Status status = Configure(request, &response);
  switch (status.error_code()) {
    case grpc::StatusCode::OK:
      break;
    case grpc::StatusCode::UNIMPLEMENTED:
      return absl::UnimplementedError("it does not serve Configure");
    case grpc::StatusCode::INVALID_ARGUMENT:
      return Error(absl::StatusCode::kInvalidArgument, "{} was refused: {}", what,
                   Printable(status.error_message()));
    default:
      return Error(absl::StatusCode::kUnavailable, "{} ended with {}", what, Words(status));
  }
  if (!response.violations().empty()) {
    return Error(absl::StatusCode::kInvalidArgument, "{} was refused: {}", what, Words(response));
  }
  ++generation_;
  return absl::OkStatus();
}

}  // namespace plugind::pluginctl::conformance
