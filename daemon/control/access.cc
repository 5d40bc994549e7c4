#include "daemon/control/access.h"

#include <fmt/format.h>

#include <charconv>
#include <optional>

namespace plugind::control {
namespace {

// The gateway sends each of them once. Anything else did not come from it.
std::optional<std::string> Only(const grpc::CallbackServerContext& context, const char* key) {
  const auto [first, end] = context.client_metadata().equal_range(key);
  if (first == end || std::next(first) != end) return std::nullopt;
  return std::string(first->second.data(), first->second.size());
}

Role ParseRole(std::string_view text) {
  for (const Role role : {Role::kViewer, Role::kOperator, Role::kAdmin}) {
    if (text == ToString(role)) return role;
  }
  return Role::kNone;
}

}  // namespace

std::string_view ToString(Role role) {
  switch (role) {
    case Role::kNone:
      return "none";
    case Role::kViewer:
      return "viewer";
    case Role::kOperator:
      return "operator";
    case Role::kAdmin:
      return "admin";
  }
  return "none";
}

std::string_view SettingOf(Role role) {
  switch (role) {
    case Role::kNone:
    case Role::kViewer:
      return "control.viewers";
    case Role::kOperator:
      return "control.operators";
    case Role::kAdmin:
      return "control.admins";
  }
  return "control.admins";
}

MethodAccess AccessTo(Method method) {
  switch (method) {
    case Method::kListPlugins:
      return {"/plugind.control.v1.PluginControl/ListPlugins", Role::kViewer};
    case Method::kGetPlugin:
      return {"/plugind.control.v1.PluginControl/GetPlugin", Role::kViewer};
    case Method::kStreamLogs:
      return {"/plugind.control.v1.PluginControl/StreamLogs", Role::kViewer};
    case Method::kWatchEvents:
      return {"/plugind.control.v1.PluginControl/WatchEvents", Role::kViewer};
    case Method::kListCalls:
      return {"/plugind.control.v1.PluginControl/ListCalls", Role::kViewer};
    case Method::kGetDaemonInfo:
      return {"/plugind.control.v1.PluginControl/GetDaemonInfo", Role::kViewer};
    case Method::kHealthCheck:
      return {"/grpc.health.v1.Health/Check", Role::kViewer};
    case Method::kHealthWatch:
      return {"/grpc.health.v1.Health/Watch", Role::kViewer};
    case Method::kStartPlugin:
      return {"/plugind.control.v1.PluginControl/StartPlugin", Role::kOperator};
    case Method::kStopPlugin:
      return {"/plugind.control.v1.PluginControl/StopPlugin", Role::kOperator};
    case Method::kRestartPlugin:
      return {"/plugind.control.v1.PluginControl/RestartPlugin", Role::kOperator};
    case Method::kEnablePlugin:
      return {"/plugind.control.v1.PluginControl/EnablePlugin", Role::kOperator};
    case Method::kDisablePlugin:
      return {"/plugind.control.v1.PluginControl/DisablePlugin", Role::kOperator};
    case Method::kReloadPlugin:
      return {"/plugind.control.v1.PluginControl/Reload", Role::kOperator};
    case Method::kReloadAll:
      return {"/plugind.control.v1.PluginControl/Reload", Role::kAdmin};
  }
  return {"", Role::kAdmin};
}

Caller CallerOf(const grpc::CallbackServerContext& context) {
  Caller caller;
  caller.name = Only(context, "plugind-caller").value_or("nobody");
  if (const auto pid = Only(context, "plugind-pid")) {
    std::from_chars(pid->data(), pid->data() + pid->size(), caller.pid);
  }
  if (const auto role = Only(context, "plugind-role")) caller.role = ParseRole(*role);
  return caller;
}

std::string Denial(const Caller& caller, Method method) {
  const MethodAccess access = AccessTo(method);
  if (caller.role >= access.least) return "";
  return fmt::format(
      "{} may not call {}{}: it takes the role {}, and the caller's is {}; add \"{}\" to {} in "
      "plugind.toml",
      caller.name, access.path, method == Method::kReloadAll ? " of the whole configuration" : "",
      ToString(access.least), ToString(caller.role), caller.name, SettingOf(access.least));
}

}  // namespace plugind::control
