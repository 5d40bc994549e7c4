#include "daemon/plugind/own_log.h"

#include <unistd.h>

#include "daemon/supervisor/state.h"

namespace plugind {
namespace {

observe::Level LevelOf(config::LogLevel level) {
  switch (level) {
    case config::LogLevel::kTrace:
      return observe::Level::kTrace;
    case config::LogLevel::kDebug:
      return observe::Level::kDebug;
    case config::LogLevel::kInfo:
      return observe::Level::kInfo;
    case config::LogLevel::kWarn:
      return observe::Level::kWarn;
    case config::LogLevel::kError:
      return observe::Level::kError;
  }
  return observe::Level::kInfo;
}

observe::LogFormat FormatOf(config::LogFormat format) {
  switch (format) {
    case config::LogFormat::kAuto:
      return observe::LogFormat::kAuto;
    case config::LogFormat::kText:
      return observe::LogFormat::kText;
    case config::LogFormat::kJson:
      return observe::LogFormat::kJson;
  }
  return observe::LogFormat::kAuto;
}

observe::Level Importance(std::string_view event_type) {
  for (const std::string_view trouble :
       {"exited", "start-failed", "unhealthy", "backoff", "quarantined", "failed", "stuck"}) {
    if (event_type == trouble) return observe::Level::kWarn;
  }
  return event_type == "ready" || event_type == "stopped" ? observe::Level::kInfo
                                                          : observe::Level::kDebug;
}

}  // namespace

std::unique_ptr<observe::Logger> OpenLog(const config::DaemonConfig& config) {
  return std::make_unique<observe::Logger>(LevelOf(config.log_level), FormatOf(config.log_format),
                                           STDERR_FILENO);
}

void LogEvent(observe::Logger& log, const observe::Event& event) {
  const auto state = supervisor::ToString(static_cast<supervisor::State>(event.to));
  log.Log(Importance(event.type), "plugin " + event.type,
          {{"plugin", event.plugin},
           {"state", state},
           {"reason", event.reason},
           {"instance", event.instance},
           {"pid", event.pid},
           {"restarts", event.restarts},
           {"event", event.sequence}});
}

}  // namespace plugind
