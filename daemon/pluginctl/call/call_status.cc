#include "daemon/pluginctl/call/call_status.h"

#include <fmt/format.h>

#include <cstdio>

#include "daemon/pluginctl/error.h"
#include "daemon/pluginctl/text.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"

namespace plugind::pluginctl {
namespace {

std::string Line(const std::string& key, const std::string& value) {
  return fmt::format("  {}: {}\n", Printable(key), Printable(value));
}

std::string DetailsOf(const grpc::Status& status) {
  google::rpc::Status rich;
  if (!rich.ParseFromString(status.error_details())) return "";
  std::string lines;
  for (const google::protobuf::Any& any : rich.details()) {
    google::rpc::ErrorInfo info;
    google::rpc::BadRequest bad;
    if (any.UnpackTo(&info)) {
      lines += Line("reason", fmt::format("{} ({})", info.reason(), info.domain()));
      for (const auto& [key, value] : info.metadata()) lines += Line(key, value);
    } else if (any.UnpackTo(&bad)) {
      for (const auto& each : bad.field_violations())
        lines += Line(each.field(), each.description());
    } else {
      lines += Line("detail", fmt::format("{}, {} bytes", any.type_url(), any.value().size()));
    }
  }
  return lines;
}

std::string Explain(const std::string& executed) {
  if (executed == "no") return "  executed: no; it may be sent again\n";
  if (executed == "maybe") return "  executed: maybe; the plugin was lost under it\n";
  return executed.empty() ? "" : Line("executed", executed);
}

bool MayBeUnreached(grpc::StatusCode code) {
  return code == grpc::StatusCode::UNAVAILABLE || code == grpc::StatusCode::DEADLINE_EXCEEDED;
}

}  // namespace

std::string CodeName(grpc::StatusCode code) {
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
    case grpc::StatusCode::UNAUTHENTICATED:
      return "UNAUTHENTICATED";
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
    case grpc::StatusCode::DO_NOT_USE:
      break;
  }
  return fmt::format("code {}", static_cast<int>(code));
}

ExitCode ReportCall(Connection& connection, const grpc::Status& status, const std::string& plugin,
                    const std::string& executed) {
  const grpc::StatusCode code = status.error_code();
  const std::string reason = ParseDetails(status).reason;
  const bool unreached = MayBeUnreached(code) && reason.empty() && connection.Probe() != 0;
  if (unreached || (code == grpc::StatusCode::NOT_FOUND && reason == "PLUGIN_NOT_FOUND"))
    return Report(connection, status, plugin);

  fmt::print(stderr, "error: {}: {}\n{}{}", CodeName(code), Printable(status.error_message()),
             DetailsOf(status), Explain(executed));
  if (code == grpc::StatusCode::DEADLINE_EXCEEDED) return ExitCode::kTimedOut;
  if (code == grpc::StatusCode::PERMISSION_DENIED || code == grpc::StatusCode::UNAUTHENTICATED)
    return ExitCode::kDenied;
  return ExitCode::kFailed;
}

}  // namespace plugind::pluginctl
