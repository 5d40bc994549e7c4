// The lock that makes a directory one daemon's own. It ends when the last duplicate of its fd is
// closed, so whoever keeps one (the keeper) keeps the lock.
#pragma once

#include <string>

#include "daemon/base/status.h"
#include "daemon/base/unique_fd.h"

namespace plugind {

// Locks DIRECTORY/plugind.lock. ALREADY_EXISTS when another daemon has it, with its pid.
absl::StatusOr<UniqueFd> TakeLock(const std::string& directory);

}  // namespace plugind
