// plugind's first life: checks what can be checked, takes the lock that makes this the only daemon
// of its directories, and becomes the keeper (exec, same pid), which starts plugind's second life,
// the daemon proper.
#pragma once

#include <string>
#include <vector>

#include "daemon/base/status.h"
#include "daemon/plugind/paths.h"

namespace plugind {

// Returns only when it failed.
absl::Status BecomeKeeper(const Paths& paths);

}  // namespace plugind
