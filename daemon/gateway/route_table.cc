#include "daemon/gateway/route_table.h"

#include <algorithm>

namespace plugind::gateway {
namespace {

// `pattern`: "kv/*", "kv/pkg.Service/*" or "kv/pkg.Service/Method"; `method` begins with '/'.
bool Allows(std::string_view pattern, std::string_view plugin, std::string_view method) {
  if (!pattern.starts_with(plugin)) return false;
  pattern.remove_prefix(plugin.size());
  if (!pattern.ends_with("/*")) return pattern == method;
  pattern.remove_suffix(1);  // "/" or "/pkg.Service/"
  return method.starts_with(pattern);
}

// What a plugin serves to its host alone, on its own socket.
constexpr std::string_view kHostsOnly[] = {
    "/plugind.plugin.v1.Plugin/",
    "/plugin.GRPCController/",
    "/plugin.GRPCBroker/",
    "/plugin.GRPCStdio/",
};
// And what plugind serves to plugins alone.
constexpr std::string_view kPluginsOnly = "/plugind.host.v1.Host/";

}  // namespace

std::string HostsOnly(std::string_view method) {
  for (const std::string_view prefix : kHostsOnly) {
    if (method.starts_with(prefix)) return "only plugind itself calls " + std::string(method);
  }
  return "";
}

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

Role RouteTable::RoleOf(const Caller& caller) const {
  if (caller.kind == Caller::Kind::kPlugin) return Role::kNone;
  if (admins.Contains(caller)) return Role::kAdmin;
  if (operators.Contains(caller)) return Role::kOperator;
  if (viewers.Contains(caller)) return Role::kViewer;
  return Role::kNone;
}

std::string Denial(const RouteTable& table, const Caller& caller, const Route& route,
                   std::string_view method) {
  const std::string what =
      caller.name + " may not call " + route.plugin + std::string(method) + ": ";
  if (std::string denial = HostsOnly(method); !denial.empty()) return what + denial;
  if (caller.kind == Caller::Kind::kPlugin) {
    const auto own = table.plugins.find(caller.plugin);
    if (own != table.plugins.end() && !own->second->peer_calls) {
      return what + "plugin " + caller.plugin + " did not agree on the capability peer.calls";
    }
    const bool allowed = own != table.plugins.end() &&
                         std::any_of(own->second->calls.begin(), own->second->calls.end(),
                                     [&](const std::string& pattern) {
                                       return Allows(pattern, route.plugin, method);
                                     });
    if (!allowed) {
      return what + "add \"" + route.plugin + std::string(method) +
             "\" to access.calls of plugin " + caller.plugin;
    }
    // Who is named by `calls` needs no second permission, unless the other one says who may call.
    if (!route.callers_set) return "";
  }
  if (route.callers.Contains(caller)) return "";
  return what + "add \"" + caller.name + "\" to access.callers of plugin " + route.plugin;
}

std::string ControlDenial(const RouteTable& table, const Caller& caller, std::string_view method) {
  if (method.starts_with(kPluginsOnly)) {
    if (caller.kind == Caller::Kind::kPlugin) return "";
    return caller.name + " may not call plugind" + std::string(method) + ": it is for plugins";
  }
  if (table.RoleOf(caller) != Role::kNone) return "";
  const std::string what = caller.name + " may not call plugind" + std::string(method) + ": ";
  if (caller.kind == Caller::Kind::kPlugin) {
    return what + "no plugin takes part in plugind's control, whatever control.viewers says";
  }
  return what + "add \"" + caller.name + "\" to control.viewers in plugind.toml";
}

}  // namespace plugind::gateway
