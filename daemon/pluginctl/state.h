// A plugin's states by name, and how each looks.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/pluginctl/terminal.h"
#include "plugind/control/v1/control.pb.h"

namespace plugind::pluginctl {

namespace v1 = ::plugind::control::v1;

// "READY"; "7" for a state that only a newer daemon knows.
std::string StateName(v1::Plugin::State state);
// In either case.
std::optional<v1::Plugin::State> ParseState(std::string_view name);
// In the order of the proto, without UNSPECIFIED.
std::vector<std::string> StateNames();
Colour StateColour(v1::Plugin::State state);

// Whether it should be READY and is not.
bool IsUnhealthy(const v1::Plugin& plugin);

}  // namespace plugind::pluginctl
