// Where the daemon's files are: as the command line says, else by user (interface.md: root's are
// the system's, others' are under the XDG base directories).
#pragma once

#include <string>

#include "daemon/base/status.h"

namespace plugind {

struct Paths {
  std::string config_file;
  bool config_required = false;  // named on the command line, so it must exist
  std::string runtime_dir;
  std::string state_dir;
};

// Fills in what is empty. FAILED_PRECONDITION when there is no default (no $XDG_RUNTIME_DIR, say).
absl::Status FillDefaults(Paths* paths);

// Makes the directories with what belongs in them, and makes their paths absolute and canonical.
// Errors name the path.
absl::Status MakeDirectories(Paths* paths);

}  // namespace plugind
