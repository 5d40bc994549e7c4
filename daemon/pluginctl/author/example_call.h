// A call that somebody could make of a plugin, to be pasted into a shell.
#pragma once

#include <string>

#include "daemon/pluginctl/connection.h"

namespace plugind::pluginctl {

// "pluginctl --socket … call NAME/SERVICE/METHOD -d '{…}'", with the first method that its
// reflection tells of and a value for each plain field; without reflection what lists its services.
std::string ExampleCall(Connection& connection, const std::string& plugin);

}  // namespace plugind::pluginctl
