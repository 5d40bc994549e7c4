// The program and arguments that an author types, as plugind and a watch need them.
#pragma once

#include <absl/status/status.h>

#include <string>
#include <vector>

#include "daemon/pluginctl/author/file_watch.h"

namespace plugind::pluginctl {

// As a shell would run it from here: the program's path absolute, found in PATH if it is a bare
// name; arguments that name files made absolute as well, for a plugin's working directory is
// another.
std::vector<std::string> ResolveCommand(std::vector<std::string> command);

// Everything whose change makes another program of it: the program, files among its arguments, and
// where one of them is a script, the modules beside it. `command` is resolved.
absl::Status WatchCommand(FileWatch& watch, const std::vector<std::string>& command);

}  // namespace plugind::pluginctl
