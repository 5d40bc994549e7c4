// plugind.toml, key by key.
#include <variant>

#include "daemon/config/document.h"
#include "daemon/config/files.h"
#include "daemon/config/reader.h"

namespace plugind::config {
namespace {

using std::chrono::hours;

constexpr std::string_view kUnix = "unix:";

void ReadAll(Reader& reader, const std::string& file, DaemonConfig* config) {
  auto daemon = reader.In("daemon");
  daemon.ReadWord("log_level", &config->log_level,
                  {{"trace", LogLevel::kTrace},
                   {"debug", LogLevel::kDebug},
                   {"info", LogLevel::kInfo},
                   {"warn", LogLevel::kWarn},
                   {"error", LogLevel::kError}});
  daemon.ReadWord(
      "log_format", &config->log_format,
      {{"auto", LogFormat::kAuto}, {"text", LogFormat::kText}, {"json", LogFormat::kJson}});
  daemon.Read("restarts_per_second", &config->restarts_per_second, Range<uint32_t>{0, 1000});
  daemon.ReadSize("log_buffer", &config->log_buffer, {16 * 1024, 64 * 1024 * 1024});
  daemon.Read("watchdog", &config->watchdog, Range<Duration>{seconds(1), hours(1)});

  auto control = reader.In("control");
  control.Read("viewers", &config->viewers, CheckOperator);
  control.Read("operators", &config->operators, CheckOperator);
  control.Read("admins", &config->admins, CheckOperator);

  auto gateway = reader.In("gateway");
  gateway.Read("threads", &config->gateway_threads, Range<uint32_t>{1, 64});
  gateway.Read("spin", &config->gateway_spin, Range<Duration>{Duration::zero(), milliseconds(10)});
  gateway.Read("hold", &config->gateway_hold, Range<Duration>{Duration::zero(), hours(1)});
  GatewayLimits& limits = config->gateway_limits;
  gateway.Read("held_calls", &limits.held_calls, Range<uint32_t>{0, 1'000'000});
  gateway.Read("connections_per_caller", &limits.connections_per_caller,
               Range<uint32_t>{1, 100'000});
  gateway.Read("streams_per_connection", &limits.streams_per_connection,
               Range<uint32_t>{1, 10'000});
  gateway.ReadSize("metadata", &limits.metadata, {1024, 1024 * 1024});
  gateway.Read("handshake_timeout", &limits.handshake_timeout,
               Range<Duration>{milliseconds(10), hours(1)});
  gateway.Read("resets_per_second", &limits.resets_per_second, Range<uint32_t>{1, 1'000'000});
  gateway.Read("control_frames_per_second", &limits.control_frames_per_second,
               Range<uint32_t>{1, 1'000'000});

  auto metrics = reader.In("metrics");
  metrics.Read("listen", &config->metrics_listen, [&](std::string_view text) {
    if (!text.starts_with(kUnix) || text == kUnix) return CheckListen(text);
    const auto path = ResolvePath(std::string(text.substr(kUnix.size())), file);
    return CheckListen(std::string(kUnix) + path);
  });
  if (config->metrics_listen.starts_with(kUnix)) {
    const auto path = ResolvePath(config->metrics_listen.substr(kUnix.size()), file);
    config->metrics_listen = std::string(kUnix) + path;
    metrics.Amend("listen", Quote(config->metrics_listen));
  }
}

}  // namespace

DaemonFile ReadDaemonFile(std::string_view text, const std::string& file) {
  DaemonFile result;
  Findings findings(file);
  const auto document = ParseDocument(text);
  if (const auto* objection = std::get_if<Objection>(&document)) {
    findings.Add(objection->at, objection->message);
  } else {
    Reader reader(std::get<Table>(document), findings, result.settings);
    ReadAll(reader, file, &result.config);
    reader.RejectUnknown();
  }
  result.problems = findings.TakeProblems();
  return result;
}

}  // namespace plugind::config
