// plugind's own log, on stderr: text on a terminal, otherwise one JSON object a line.
//
//   log.Info("plugin ready", {{"plugin", name}, {"pid", pid}});
//
//   2026-11-20T09:11:21.123456Z INFO  plugin ready plugin=greeter pid=4242
//   {"time":"2026-11-20T09:11:21.123456Z","level":"info","message":"plugin
//   ready","plugin":"greeter","pid":4242}
//
// Whatever a message or a value contains, it stays within its line and its field. Logging never
// waits and never fails: a line that stderr does not take at once (a full pipe, a closed one) is
// dropped and counted, and the count is logged as soon as stderr takes lines again. SIGPIPE must be
// ignored by the program.
//
// Made by main, handed on by reference; there is no global logger. Thread-safe.
#pragma once

#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string_view>
#include <variant>

#include "daemon/observe/log_entry.h"

namespace spdlog {
class logger;
}

namespace plugind::observe {

enum class LogFormat {
  kAuto,  // text when the fd is a terminal
  kText,
  kJson,
};

// A key with its value, for the time of one call: it refers to strings that its caller owns. Keys
// are our own words, and not "time", "level" or "message".
class LogField {
 public:
  LogField(std::string_view key, std::string_view value) : key_(key), value_(value) {}
  LogField(std::string_view key, const char* value) : LogField(key, std::string_view(value)) {}
  LogField(std::string_view key, bool value) : key_(key), value_(value) {}
  LogField(std::string_view key, std::signed_integral auto value)
      : key_(key), value_(static_cast<int64_t>(value)) {}
  LogField(std::string_view key, std::unsigned_integral auto value)
      : key_(key), value_(static_cast<uint64_t>(value)) {}
  LogField(std::string_view key, double value) : key_(key), value_(value) {}

  std::string_view key() const { return key_; }
  const auto& value() const { return value_; }

 private:
  std::string_view key_;
  std::variant<std::string_view, bool, int64_t, uint64_t, double> value_;
};

class Logger {
 public:
  using LogFields = std::initializer_list<LogField>;

  // `fd` stays its owner's and open; it is never made non-blocking, because others share it.
  Logger(Level level, LogFormat format, int fd);
  ~Logger();
  Logger(const Logger&) = delete;
  Logger& operator=(const Logger&) = delete;

  void Trace(std::string_view message, LogFields fields = {}) {
    Log(Level::kTrace, message, fields);
  }
  void Debug(std::string_view message, LogFields fields = {}) {
    Log(Level::kDebug, message, fields);
  }
  void Info(std::string_view message, LogFields fields = {}) { Log(Level::kInfo, message, fields); }
  void Warn(std::string_view message, LogFields fields = {}) { Log(Level::kWarn, message, fields); }
  void Error(std::string_view message, LogFields fields = {}) {
    Log(Level::kError, message, fields);
  }
  void Log(Level level, std::string_view message, LogFields fields);

  // Takes effect for the next line, on every thread.
  void SetLevel(Level level);
  Level level() const;
  bool Enabled(Level level) const;

  // Lines that could not be written, since the beginning.
  uint64_t dropped_lines() const;

 private:
  class Sink;
  const bool json_;
  std::shared_ptr<Sink> sink_;  // shared because spdlog takes sinks so
  std::unique_ptr<spdlog::logger> logger_;
};

}  // namespace plugind::observe
