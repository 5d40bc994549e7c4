#include "daemon/pluginctl/error.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "daemon/config/suggest.h"
#include "daemon/pluginctl/connection.h"
#include "daemon/pluginctl/text.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"

namespace plugind::pluginctl {
namespace {

constexpr const char* kDomain = "plugind";

ExitCode ReportUnreachable(const Connection& connection, int error) {
  switch (error) {
    case EACCES:
    case EPERM:
      Complain(
          fmt::format("cannot connect to {}: permission denied\n"
                      "  run it as root or as the user that plugind runs as",
                      connection.socket()));
      return ExitCode::kDenied;
    case ENOENT:
    case ECONNREFUSED:
      Complain(fmt::format(
          "cannot reach plugind at {}: {}\n"
          "  is it running? See \"systemctl status plugind\"; PLUGIND_SOCKET or --socket names "
          "another socket",
          connection.socket(), error == ENOENT ? "no such socket" : "nobody listens there"));
      return ExitCode::kUnreachable;
    default:
      Complain(
          fmt::format("cannot reach plugind at {}: {}", connection.socket(), std::strerror(error)));
      return ExitCode::kUnreachable;
  }
}

ExitCode ReportNoSuchPlugin(Connection& connection, const std::string& plugin) {
  std::string hint = "\"pluginctl status\" lists them";
  v1::ListPluginsResponse list;
  if (connection.Call(&Stub::ListPlugins, v1::ListPluginsRequest(), &list).ok()) {
    std::vector<std::string> names;
    for (const v1::Plugin& each : list.plugins()) names.push_back(each.name());
    if (const std::string near = config::Nearest(plugin, names); !near.empty()) {
      hint = fmt::format("did you mean \"{}\"?", near);
    } else if (names.empty()) {
      hint = "no plugin is configured";
    }
  }
  Complain(fmt::format("no such plugin \"{}\"; {}", Printable(plugin), hint));
  return ExitCode::kNoSuchPlugin;
}

}  // namespace

ErrorDetails ParseDetails(const grpc::Status& status) {
  ErrorDetails details;
  google::rpc::Status rich;
  if (status.error_details().empty() || !rich.ParseFromString(status.error_details()))
    return details;
  for (const google::protobuf::Any& any : rich.details()) {
    google::rpc::ErrorInfo info;
    google::rpc::BadRequest bad;
    if (any.UnpackTo(&info)) {
      if (info.domain() == kDomain) details.reason = info.reason();
    } else if (any.UnpackTo(&bad)) {
      for (const auto& violation : bad.field_violations()) {
        details.violations.emplace_back(violation.field(), violation.description());
      }
    }
  }
  return details;
}

bool IsPassing(const grpc::Status& status) {
  if (status.ok()) return false;
  const std::string reason = ParseDetails(status).reason;
  return reason == "SHUTTING_DOWN" || reason == "SLOW_READER";
}

void Complain(const std::string& message) { fmt::print(stderr, "pluginctl: {}\n", message); }

ExitCode Report(Connection& connection, const grpc::Status& status, const std::string& plugin) {
  const ErrorDetails details = ParseDetails(status);
  const std::string message = Printable(status.error_message());
  switch (status.error_code()) {
    case grpc::StatusCode::UNAVAILABLE:
    case grpc::StatusCode::CANCELLED:
      if (details.reason.empty()) {
        if (const int error = connection.Probe(); error != 0)
          return ReportUnreachable(connection, error);
        Complain(fmt::format("lost plugind at {}: {}", connection.socket(), message));
      } else {
        Complain(message);
        // It was reached, and it refuses to change what it cannot keep a record of.
        if (details.reason == "AUDIT_FAILED") return ExitCode::kFailed;
      }
      return ExitCode::kUnreachable;
    case grpc::StatusCode::DEADLINE_EXCEEDED:
      if (const int error = connection.Probe(); error != 0)
        return ReportUnreachable(connection, error);
      Complain(fmt::format("plugind at {} did not answer in time", connection.socket()));
      return ExitCode::kTimedOut;
    case grpc::StatusCode::NOT_FOUND:
      if (!plugin.empty()) return ReportNoSuchPlugin(connection, plugin);
      break;
    case grpc::StatusCode::PERMISSION_DENIED:
    case grpc::StatusCode::UNAUTHENTICATED:
      Complain(fmt::format("denied: {}", message));
      return ExitCode::kDenied;
    case grpc::StatusCode::UNIMPLEMENTED:
      Complain(
          fmt::format("what answers at {} does not know this: {}", connection.socket(), message));
      return ExitCode::kFailed;
    default:
      break;
  }
  if (details.reason == "CONFIG_INVALID") {
    for (const auto& [place, what] : details.violations) {
      fmt::print(stderr, "{}: {}\n", Printable(place), Printable(what));
    }
    Complain(message);
  } else if (details.reason == "PLUGIN_DISABLED") {
    Complain(
        fmt::format("{} is disabled; \"pluginctl enable {}\" allows it to run", plugin, plugin));
  } else {
    Complain(plugin.empty() ? message : fmt::format("{}: {}", plugin, message));
  }
  return ExitCode::kFailed;
}

}  // namespace plugind::pluginctl
