// From the configuration and a plugin's status to the gateway's terms. Pure but for the lookup of
// groups' names.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "daemon/config/plugin_config.h"
#include "daemon/gateway/route_table.h"
#include "daemon/supervisor/status.h"

namespace plugind {

// "uid:1000", "group:apps", "plugin:kv", "*", as the configuration's check has let them through. A
// group that does not exist has no members.
gateway::CallerSet CallersOf(const std::vector<std::string>& principals);

// `load` and `instance` live longer than one route; `instance` is null unless the plugin is READY.
gateway::RoutePtr MakeRoute(const config::PluginConfig& config,
                            const supervisor::PluginStatus& status,
                            std::shared_ptr<gateway::PluginLoad> load,
                            gateway::InstancePtr instance);

}  // namespace plugind
