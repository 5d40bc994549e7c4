#include "daemon/control/convert.h"

#include <chrono>
#include <string>

#include "daemon/supervisor/reason.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"

namespace plugind::control {
namespace {

// gRPC carries a status and its details in trailers, which are bounded to 8 KiB in all.
constexpr size_t kMaxMessage = 2048;
constexpr size_t kMaxDetails = 5 * 1024;

google::rpc::ErrorInfo MakeErrorInfo(const std::string& reason) {
  google::rpc::ErrorInfo info;
  info.set_reason(reason);
  info.set_domain("plugind");
  return info;
}

grpc::Status WithDetails(grpc::StatusCode code, const std::string& message,
                         const std::vector<const google::protobuf::Message*>& details) {
  google::rpc::Status status;
  status.set_code(code);
  status.set_message(message.substr(0, kMaxMessage));
  for (const auto* detail : details) status.add_details()->PackFrom(*detail);
  return {code, status.message(), status.SerializeAsString()};
}

v1::LogEntry::Level ToProto(observe::Level level) {
  switch (level) {
    case observe::Level::kTrace:
      return v1::LogEntry::TRACE;
    case observe::Level::kDebug:
      return v1::LogEntry::DEBUG;
    case observe::Level::kInfo:
      return v1::LogEntry::INFO;
    case observe::Level::kWarn:
      return v1::LogEntry::WARN;
    case observe::Level::kError:
      return v1::LogEntry::ERROR;
  }
  return v1::LogEntry::LEVEL_UNSPECIFIED;
}

v1::LogEntry::Source ToProto(observe::Source source) {
  switch (source) {
    case observe::Source::kStdout:
      return v1::LogEntry::STDOUT;
    case observe::Source::kStderr:
      return v1::LogEntry::STDERR;
    case observe::Source::kPlugind:
      return v1::LogEntry::PLUGIND;
  }
  return v1::LogEntry::SOURCE_UNSPECIFIED;
}

}  // namespace

void Fill(WallTime from, google::protobuf::Timestamp* to) {
  const auto since = from.time_since_epoch();
  const auto seconds = std::chrono::floor<std::chrono::seconds>(since);
  to->set_seconds(seconds.count());
  to->set_nanos(static_cast<int32_t>((since - seconds).count()));
}

void Fill(const supervisor::PluginStatus& from, v1::Plugin* to) {
  to->set_name(from.name);
  to->set_state(static_cast<v1::Plugin::State>(from.state));
  to->set_phase(std::string(supervisor::ToString(from.phase)));
  to->set_pid(from.pid);
  to->set_instance(from.instance);
  to->set_restarts(from.restarts);
  to->set_protocol_version(from.protocol_version);
  to->set_direct_address(from.direct_address);
  for (const auto& service : from.services) to->add_services(service);
  Fill(from.state_changed_at, to->mutable_state_changed_at());
  to->set_reason(from.reason);
  if (from.last_exit) {
    v1::LastExit* const exit = to->mutable_last_exit();
    exit->set_code(from.last_exit->status.code);
    exit->set_signal(from.last_exit->status.signal);
    exit->set_core_dumped(from.last_exit->status.core);
    exit->set_oom_killed(from.last_exit->status.oom);
    Fill(from.last_exit->at, exit->mutable_at());
    exit->set_reason(ToString(from.last_exit->status));
    exit->set_instance(from.last_exit->instance);
    exit->set_pid(from.last_exit->pid);
  }
  to->set_enabled(from.enabled);
  to->set_wanted(from.wanted);
  if (from.next_start_at) Fill(*from.next_start_at, to->mutable_next_start_at());
  to->set_stuck(from.stuck);
  to->set_recent_failures(from.recent_failures);
  to->set_config_file(from.config_file);
  if (from.ready_at) Fill(*from.ready_at, to->mutable_ready_at());
  to->set_log_bytes_dropped(from.log_bytes_dropped);
  for (const auto& name : from.after) to->add_after(name);
  to->set_plugin_version(from.version);
  to->set_sdk(from.sdk);
  to->set_auto_mtls(from.tls != nullptr);
  for (const auto& [name, version] : from.capabilities) {
    (*to->mutable_capabilities())[name] = version;
  }
  to->set_status_text(from.status_text);
  if (!from.settings) return;
  v1::Settings* const settings = to->mutable_settings();
  settings->set_generation(from.settings->generation);
  Fill(from.settings->accepted_at, settings->mutable_accepted_at());
  settings->set_pending(from.settings->pending);
  settings->set_refused(from.settings->refused);
}

void Fill(const observe::LogEntry& from, v1::LogEntry* to) {
  to->set_sequence(from.sequence);
  Fill(from.time, to->mutable_time());
  to->set_level(ToProto(from.level));
  to->set_source(ToProto(from.source));
  to->set_instance(from.instance);
  to->set_message(from.message);
  to->set_module(from.module);
  for (const auto& [key, value] : from.fields) {
    v1::LogEntry::Field* const field = to->add_fields();
    field->set_key(key);
    field->set_value(value);
  }
  to->set_dropped_bytes(from.dropped_bytes);
  to->set_plugin_time(from.plugin_time);
}

void Fill(const observe::Event& from, v1::Event* to) {
  to->set_sequence(from.sequence);
  Fill(from.time, to->mutable_time());
  to->set_plugin(from.plugin);
  to->set_from(static_cast<v1::Plugin::State>(from.from));
  to->set_to(static_cast<v1::Plugin::State>(from.to));
  to->set_reason(from.reason);
  to->set_instance(from.instance);
  to->set_pid(from.pid);
  to->set_restarts(from.restarts);
  to->set_type(from.type);
  to->set_phase(from.phase);
}

void Fill(const config::Diff& from, v1::ReloadResponse* to) {
  for (const auto& name : from.added) to->add_added(name);
  for (const auto& name : from.removed) to->add_removed(name);
  for (const auto& name : from.changed) to->add_changed(name);
  for (const auto& name : from.updated) to->add_updated(name);
  for (const auto& name : from.unchanged) to->add_unchanged(name);
}

grpc::Status ToGrpc(const absl::Status& status) {
  if (status.ok()) return grpc::Status::OK;
  const auto code = static_cast<grpc::StatusCode>(status.raw_code());
  const std::string message(Message(status));
  const std::string reason = supervisor::ReasonOf(status);
  if (reason.empty()) return {code, message.substr(0, kMaxMessage)};
  const auto info = MakeErrorInfo(reason);
  return WithDetails(code, message, {&info});
}

grpc::Status ConfigInvalid(const std::vector<config::Problem>& problems) {
  google::rpc::BadRequest request;
  size_t left_out = 0;
  for (const auto& problem : problems) {
    google::rpc::BadRequest::FieldViolation violation;
    std::string place = problem.file;
    if (problem.line > 0) place += fmt::format(":{}:{}", problem.line, problem.column);
    violation.set_field(place);
    violation.set_description(problem.message.substr(0, 512));
    if (request.ByteSizeLong() + violation.ByteSizeLong() > kMaxDetails) {
      ++left_out;
      continue;
    }
    *request.add_field_violations() = std::move(violation);
  }
  std::string message =
      fmt::format("the configuration has {} error{}; the running one stays as it is",
                  problems.size(), problems.size() == 1 ? "" : "s");
  if (left_out > 0)
    message += fmt::format(" ({} more in plugind's log and in `plugind --check-config`)", left_out);
  const auto info = MakeErrorInfo("CONFIG_INVALID");
  return WithDetails(grpc::StatusCode::INVALID_ARGUMENT, message, {&info, &request});
}

grpc::Status AccessDenied(const Caller& caller, Method method, const std::string& message) {
  auto info = MakeErrorInfo("ACCESS_DENIED");
  const MethodAccess access = AccessTo(method);
  auto& metadata = *info.mutable_metadata();
  metadata["caller"] = caller.name;
  metadata["method"] = access.path;
  metadata["role"] = ToString(access.least);
  metadata["setting"] = SettingOf(access.least);
  return WithDetails(grpc::StatusCode::PERMISSION_DENIED, message, {&info});
}

grpc::Status AuditFailed(const absl::Status& why) {
  const auto info = MakeErrorInfo("AUDIT_FAILED");
  return WithDetails(
      grpc::StatusCode::UNAVAILABLE,
      fmt::format("nothing was changed, because the audit log cannot be written: {}", Message(why)),
      {&info});
}

std::string_view CodeName(grpc::StatusCode code) {
  switch (code) {
    case grpc::StatusCode::OK:
      return "OK";
    case grpc::StatusCode::CANCELLED:
      return "CANCELLED";
    case grpc::StatusCode::UNKNOWN:
      return "UNKNOWN";
    case grpc::StatusCode::INVALID_ARGUMENT:
      return "INVALID_ARGUMENT";
    case grpc::StatusCode::DEADLINE_EXCEEDED:
      return "DEADLINE_EXCEEDED";
    case grpc::StatusCode::NOT_FOUND:
      return "NOT_FOUND";
    case grpc::StatusCode::ALREADY_EXISTS:
      return "ALREADY_EXISTS";
    case grpc::StatusCode::PERMISSION_DENIED:
      return "PERMISSION_DENIED";
    case grpc::StatusCode::RESOURCE_EXHAUSTED:
      return "RESOURCE_EXHAUSTED";
    case grpc::StatusCode::FAILED_PRECONDITION:
      return "FAILED_PRECONDITION";
    case grpc::StatusCode::ABORTED:
      return "ABORTED";
    case grpc::StatusCode::OUT_OF_RANGE:
      return "OUT_OF_RANGE";
    case grpc::StatusCode::UNIMPLEMENTED:
      return "UNIMPLEMENTED";
    case grpc::StatusCode::INTERNAL:
      return "INTERNAL";
    case grpc::StatusCode::UNAVAILABLE:
      return "UNAVAILABLE";
    case grpc::StatusCode::DATA_LOSS:
      return "DATA_LOSS";
    case grpc::StatusCode::UNAUTHENTICATED:
      return "UNAUTHENTICATED";
    case grpc::StatusCode::DO_NOT_USE:
      break;
  }
  return "UNKNOWN";
}

}  // namespace plugind::control
