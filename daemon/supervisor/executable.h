// Looks at a plugin's executable: opens it for the keeper, and finds out why the kernel would not
// run it.
#pragma once

#include <string>

#include "daemon/base/status.h"
#include "daemon/base/unique_fd.h"

namespace plugind::supervisor {

// An fd to execute, so that what was looked at is what runs; invalid for a script, which the kernel
// opens by path once more. NOT_FOUND and FAILED_PRECONDITION (a directory, not executable, noexec
// mount) name the cause.
absl::StatusOr<UniqueFd> OpenExecutable(const std::string& path);

// What execve's `error` means for `path`: the missing interpreter, the foreign architecture, the
// mount.
std::string DescribeExecError(const std::string& path, int error);

}  // namespace plugind::supervisor
