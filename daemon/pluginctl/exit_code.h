// What pluginctl says with its exit code; scripts rely on the numbers.
#pragma once

namespace plugind::pluginctl {

enum class ExitCode : int {
  kDone = 0,
  kFailed = 1,
  kUsage = 2,
  kUnhealthy = 3,  // status --check only
  kNoSuchPlugin = 4,
  kUnreachable = 5,
  kDenied = 6,
  kTimedOut = 7,
  kInterrupted = 130,
};

}  // namespace plugind::pluginctl
