#include "daemon/observe/daemon_log.h"

#include <spdlog/logger.h>
#include <spdlog/sinks/base_sink.h>
#include <unistd.h>

#include <atomic>
#include <cmath>
#include <mutex>

#include "daemon/observe/line_writer.h"
#include "daemon/observe/rfc3339.h"
#include "daemon/observe/text.h"

namespace plugind::observe {
namespace {

spdlog::level::level_enum ToSpdlog(Level level) {
  switch (level) {
    case Level::kTrace:
      return spdlog::level::trace;
    case Level::kDebug:
      return spdlog::level::debug;
    case Level::kInfo:
      return spdlog::level::info;
    case Level::kWarn:
      return spdlog::level::warn;
    case Level::kError:
      return spdlog::level::err;
  }
  return spdlog::level::info;
}

Level FromSpdlog(spdlog::level::level_enum level) {
  switch (level) {
    case spdlog::level::trace:
      return Level::kTrace;
    case spdlog::level::debug:
      return Level::kDebug;
    case spdlog::level::info:
      return Level::kInfo;
    case spdlog::level::warn:
      return Level::kWarn;
    case spdlog::level::err:
    case spdlog::level::critical:
    case spdlog::level::off:
    case spdlog::level::n_levels:
      return Level::kError;
  }
  return Level::kError;
}

std::string_view Name(Level level) {
  switch (level) {
    case Level::kTrace:
      return "trace";
    case Level::kDebug:
      return "debug";
    case Level::kInfo:
      return "info";
    case Level::kWarn:
      return "warn";
    case Level::kError:
      return "error";
  }
  return "info";
}

// In capitals, and all of one width so that messages align.
std::string_view Label(Level level) {
  switch (level) {
    case Level::kTrace:
      return "TRACE";
    case Level::kDebug:
      return "DEBUG";
    case Level::kInfo:
      return "INFO ";
    case Level::kWarn:
      return "WARN ";
    case Level::kError:
      return "ERROR";
  }
  return "INFO ";
}

// A value in text must not look like another key: quoted unless it is plainly one word.
void AppendTextValue(std::string& out, std::string_view value) {
  const bool plain = !value.empty() && value.find_first_of(" \t\"=\\") == std::string_view::npos &&
                     Sanitized(value) == value;
  if (plain) {
    out.append(value);
  } else {
    AppendJsonString(out, value);
  }
}

struct ValueAppender {
  std::string& out;
  bool json;

  void operator()(std::string_view value) const {
    if (json) {
      AppendJsonString(out, value);
    } else {
      AppendTextValue(out, value);
    }
  }
  void operator()(bool value) const { out.append(value ? "true" : "false"); }
  void operator()(int64_t value) const { out.append(std::to_string(value)); }
  void operator()(uint64_t value) const { out.append(std::to_string(value)); }
  void operator()(double value) const {
    // JSON has no infinities.
    out.append(std::isfinite(value) || !json ? fmt::format("{}", value) : "null");
  }
};

// The part of a line that its caller gives: what stands behind time and level.
std::string Body(bool json, std::string_view message, Logger::LogFields fields) {
  std::string body;
  if (json) {
    body.append("\"message\":");
    AppendJsonString(body, message);
  } else {
    body.append(Sanitized(message));
  }
  for (const LogField& field : fields) {
    if (json) {
      body.push_back(',');
      AppendJsonString(body, field.key());
      body.push_back(':');
    } else {
      body.append(" ").append(field.key()).append("=");
    }
    std::visit(ValueAppender{body, json}, field.value());
  }
  return body;
}

std::string Line(bool json, spdlog::log_clock::time_point time, Level level,
                 std::string_view body) {
  if (json) {
    return fmt::format("{{\"time\":\"{}\",\"level\":\"{}\",{}}}\n", Rfc3339(time), Name(level),
                       body);
  }
  return fmt::format("{} {} {}\n", Rfc3339(time), Label(level), body);
}

}  // namespace

// spdlog calls it under its mutex, with what Body() made as the payload.
class Logger::Sink final : public spdlog::sinks::base_sink<std::mutex> {
 public:
  Sink(bool json, int fd) : json_(json), writer_(fd) {}
  uint64_t dropped() const { return dropped_.load(std::memory_order_relaxed); }

 private:
  void sink_it_(const spdlog::details::log_msg& message) override {
    if (!WriteReport(message.time) ||
        !writer_.Write(Line(json_, message.time, FromSpdlog(message.level),
                            {message.payload.data(), message.payload.size()}))) {
      dropped_.fetch_add(1, std::memory_order_relaxed);
    }
  }
  void flush_() override {}

  // What was dropped is told before anything that comes after it.
  bool WriteReport(spdlog::log_clock::time_point time) {
    const uint64_t unreported = dropped() - reported_;
    if (unreported == 0) return true;
    const std::string body = Body(json_, "log lines were dropped because stderr did not take them",
                                  {{"lines", unreported}});
    if (!writer_.Write(Line(json_, time, Level::kWarn, body))) return false;
    reported_ = dropped();
    return true;
  }

  const bool json_;
  LineWriter writer_;
  std::atomic<uint64_t> dropped_{0};
  uint64_t reported_ = 0;
};

Logger::Logger(Level level, LogFormat format, int fd)
    : json_(format == LogFormat::kJson || (format == LogFormat::kAuto && ::isatty(fd) == 0)),
      sink_(std::make_shared<Sink>(json_, fd)),
      logger_(std::make_unique<spdlog::logger>("plugind", sink_)) {
  SetLevel(level);
}

Logger::~Logger() = default;

void Logger::Log(Level level, std::string_view message, LogFields fields) {
  if (!Enabled(level)) return;
  const std::string body = Body(json_, message, fields);
  logger_->log(ToSpdlog(level), spdlog::string_view_t(body.data(), body.size()));
}

void Logger::SetLevel(Level level) { logger_->set_level(ToSpdlog(level)); }
Level Logger::level() const { return FromSpdlog(logger_->level()); }
bool Logger::Enabled(Level level) const { return logger_->should_log(ToSpdlog(level)); }
uint64_t Logger::dropped_lines() const { return sink_->dropped(); }

}  // namespace plugind::observe
