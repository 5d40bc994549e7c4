// A process that waits for the keeper's death, however it comes, and then kills every tree by the
// keeper's cgroup. The kernel ends the children of a dead keeper (PR_SET_PDEATHSIG), but not what
// those have forked; this does. It sleeps in read(2) until then and holds nothing but two fds.
//
// Owned by KeeperProgram, for its life. Only where a cgroup is writable; elsewhere descendants that
// outlive a keeper killed by SIGKILL are the service manager's.
#pragma once

#include "daemon/base/unique_fd.h"
#include "daemon/keeper/cgroup.h"

namespace plugind::keeper {

class LastWill {
 public:
  // Forks, before the keeper becomes a subreaper: the process is then no child of it. A failure is
  // logged, and there is no will then.
  explicit LastWill(const Cgroup& cgroup);

 private:
  UniqueFd life_;  // the only writing end of a pipe: its end is the keeper's
};

}  // namespace plugind::keeper
