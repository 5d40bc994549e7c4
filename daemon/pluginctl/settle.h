// Waits until plugins have come to where a request sends them, telling how it goes.
#pragma once

#include <string>
#include <vector>

#include "daemon/pluginctl/connection.h"
#include "daemon/pluginctl/deadline.h"
#include "daemon/pluginctl/exit_code.h"
#include "daemon/pluginctl/goal.h"
#include "daemon/pluginctl/progress.h"

namespace plugind::pluginctl {

struct Awaited {
  Target target;
  v1::Plugin seen = {};        // the latest snapshot
  uint64_t from_sequence = 0;  // its events begin here
};

// kDone when all have; kFailed when one cannot, with its reason and the end of its stderr;
// kTimedOut at the deadline. An answer other than these is the daemon's. Every one is waited for,
// whatever becomes of the others.
ExitCode Settle(Connection& connection, std::vector<Awaited> awaited, Deadline deadline,
                Progress& progress);

}  // namespace plugind::pluginctl
