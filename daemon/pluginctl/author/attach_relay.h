// What plugind runs in a plugin's place while its author runs the plugin itself, under a debugger.
// It has the plugin's environment written down for him, waits until a process that he started with
// it listens, and then does what the plugin would do: it listens in its own directory, prints the
// handshake, and hands every connection on. The plugin's calls to plugind go through it as well. So
// for plugind all is as ever: the process that it started, and no other, is the plugin. It hands
// SIGTERM on, too, and ends with the plugin.
//
// AutoMTLS is between the relay and the plugin: a certificate of plugind's lives as long as one
// launch, but who sits at a debugger starts a plugin often and sets its environment once.
#pragma once

#include <string>

#include "daemon/pluginctl/exit_code.h"

namespace plugind::pluginctl {

// In the folder that both sides know.
inline constexpr const char* kAttachEnvironment = "env.sh";

struct AttachOptions {
  std::string folder;  // stays from one run to the next, and with it the environment
  bool auto_mtls = false;
};

// Until the plugin's process ends, or plugind ends this one.
ExitCode RunAttachRelay(const AttachOptions& options);

// `export NAME='value'`, as every shell understands it; of several lines where the value is. Pure.
std::string ExportLine(const std::string& name, const std::string& value);

}  // namespace plugind::pluginctl
