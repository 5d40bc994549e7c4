// Who may call what of the control server: one table, which every method asks before it does
// anything. The gateway, the only way in, says in metadata that nobody else can send who calls and
// what role the configuration gives that caller. Pure; any thread.
#pragma once

#include <grpcpp/server_context.h>

#include <cstdint>
#include <string>
#include <string_view>

namespace plugind::control {

// Each may do what those before it may.
enum class Role : uint8_t {
  kNone,
  kViewer,
  kOperator,
  kAdmin
};
std::string_view ToString(Role role);
// The list in plugind.toml that gives it.
std::string_view SettingOf(Role role);

// What can be asked for. Reload is two, because the whole configuration can define new plugins.
enum class Method : uint8_t {
  kListPlugins,
  kGetPlugin,
  kStreamLogs,
  kWatchEvents,
  kListCalls,
  kGetDaemonInfo,
  kHealthCheck,
  kHealthWatch,
  kStartPlugin,
  kStopPlugin,
  kRestartPlugin,
  kEnablePlugin,
  kDisablePlugin,
  kReloadPlugin,
  kReloadAll,
};
inline constexpr int kMethods = static_cast<int>(Method::kReloadAll) + 1;

struct MethodAccess {
  std::string_view path;  // "/plugind.control.v1.PluginControl/StopPlugin"
  Role least;
};
MethodAccess AccessTo(Method method);

struct Caller {
  std::string name;  // "uid:1000", "plugin:kv"
  int pid = 0;
  Role role = Role::kNone;
};
// Nobody, without a role, unless the gateway said otherwise.
Caller CallerOf(const grpc::CallbackServerContext& context);

// Why `caller` may not call `method`; empty if it may. Names both, the role that it takes and the
// setting that gives it.
std::string Denial(const Caller& caller, Method method);

}  // namespace plugind::control
