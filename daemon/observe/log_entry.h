// One entry of a plugin's log, as every reader sees it. Plain values.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "daemon/base/clock.h"

namespace plugind::observe {

enum class Level : uint8_t {
  kTrace = 1,
  kDebug,
  kInfo,
  kWarn,
  kError,
};
enum class Source : uint8_t {
  kStdout = 1,
  kStderr,
  kPlugind,
};

using Fields = std::vector<std::pair<std::string, std::string>>;

struct LogEntry {
  uint64_t sequence = 0;  // from 1, no gaps
  WallTime time;
  Level level = Level::kInfo;
  Source source = Source::kStdout;
  std::string instance;
  std::string message;  // one line of valid UTF-8 without control characters
  std::string module;
  std::string plugin_time;  // as the plugin wrote it
  Fields fields;
  uint64_t dropped_bytes = 0;  // dropped between the entry before and this one
};

}  // namespace plugind::observe
