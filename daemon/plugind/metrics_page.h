// What plugind's pages for machines say: Prometheus's metrics, and whether all is ready. Pure, from
// copies of what the parts know.
#pragma once

#include <string>
#include <vector>

#include "daemon/base/clock.h"
#include "daemon/gateway/call_totals.h"
#include "daemon/observe/process_figures.h"
#include "daemon/supervisor/status.h"

namespace plugind {

struct DaemonFigures {
  std::string version;
  WallTime daemon_started_at;   // its keeper
  WallTime process_started_at;  // this process of it
  WallTime config_loaded_at;
  uint32_t generation = 0;  // processes before this one
  uint64_t log_lines_dropped = 0;
  observe::ProcessFigures process;
};

// Text format 0.0.4. Names are a contract with dashboards: add, never rename.
std::string RenderMetrics(const DaemonFigures& daemon,
                          const std::vector<supervisor::PluginStatus>& plugins,
                          const std::vector<gateway::CallTotals>& calls);

struct Readiness {
  bool ready = true;
  std::string text;  // a line for each plugin that is not ready, or with `verbose` for every one
};
// Ready: every plugin that is wanted is READY, or has finished and is not to run again.
Readiness DescribeReadiness(const std::vector<supervisor::PluginStatus>& plugins, bool stopping,
                            bool verbose);

}  // namespace plugind
