// plugind's own log: as the configuration wants it, and what it says of a plugin's change of state.
// Daemon owns the log in force, on the loop; one that is opened beside it may be used anywhere.
#pragma once

#include <memory>

#include "daemon/config/plugin_config.h"
#include "daemon/observe/daemon_log.h"
#include "daemon/observe/event_log.h"

namespace plugind {

// On standard error.
std::unique_ptr<observe::Logger> OpenLog(const config::DaemonConfig& config);

// What is trouble is a warning; what an operator waits for is news; the rest is for whoever debugs.
void LogEvent(observe::Logger& log, const observe::Event& event);

}  // namespace plugind
