// Forks a plugin's process and leads it to its exec: the only place where a child runs the keeper's
// own code.
#pragma once

#include <sys/resource.h>
#include <sys/types.h>

#include <optional>
#include <vector>

#include "daemon/base/custody.h"
#include "daemon/base/unique_fd.h"

namespace plugind::keeper {

// What every child needs of its parent. Made once, at the keeper's start.
struct LaunchContext {
  pid_t keeper = 0;
  UniqueFd dev_null;
  rlimit nofile{};           // the keeper's own as it was started, before it raised it for itself
  std::vector<int> ignored;  // the signals that this process ignores, as it does from now on
};

struct LaunchFailure {
  SpawnStep step = SpawnStep::kFork;
  int error = 0;  // errno
};

struct Launched {
  pid_t pid = 0;
  UniqueFd pidfd;
  UniqueFd stdout_pipe;  // read ends
  UniqueFd stderr_pipe;
  UniqueFd failure_pipe;  // non-blocking; see ReadFailure
  bool in_cgroup = false;
};

// Null, with `failure`, when there is no child. `executable` may be invalid: spec.path is executed
// then. `cgroup` may be invalid, and is not used when the kernel refuses to fork into it.
std::optional<Launched> Launch(const SpawnSpec& spec, const UniqueFd& executable,
                               const UniqueFd& cgroup, const LaunchContext& context,
                               LaunchFailure* failure);

enum class Progress {
  kUnderWay,
  kExecuted,
  kFailed,
};
// How far the child is, told by its failure_pipe: closed by the exec, or written to by the step
// that failed.
Progress ReadFailure(const UniqueFd& failure_pipe, LaunchFailure* failure);

std::vector<int> IgnoredSignals();
// In a child, before exec: no signal blocked, none ignored. Both would survive the exec, which
// resets the rest by itself.
void ResetSignals(const LaunchContext& context);

}  // namespace plugind::keeper
