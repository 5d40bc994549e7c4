// What plugind runs in a plugin's place while its author runs the plugin itself, under a debugger.
// It has the plugin's environment written down for him, waits until a process that he started with
// it listens, and then does what the plugin would do: it listens in its own directory, prints the
// handshake, and hands every connection on. The plugin's calls to plugind go through it as well. So
// for plugind all is as ever: the process that it started, and no other, is the plugin.
#pragma once

#include <string>

#include "daemon/pluginctl/exit_code.h"

namespace plugind::pluginctl {

// In the folder that both sides know.
inline constexpr const char* kAttachEnvironment = "env.sh";

// Until the plugin's process ends, or plugind ends this one. `folder` stays from one run to the
// next, and with it the environment.
ExitCode RunAttachRelay(const std::string& folder);

// `export NAME='value'` for each; pure.
std::string ExportLine(const std::string& name, const std::string& value);

}  // namespace plugind::pluginctl
