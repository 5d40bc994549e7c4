// One line of a plugin's output, understood. The forms are those that programs of all languages
// write without being asked:
//
//   {"@level":"warn","@message":"…"}      hclog, and the keys of zap, logrus, slog, zerolog, pino,
//   bunyan time=… level=WARN msg="…" k=v         slog and logrus as text <4>text sd-daemon(3)
//   [WARN] text, 2024/01/02 03:04:05 [WARN] text, 2024-01-02T03:04:05Z WARN text, ERROR: text
//   WARNING:name:text                     Python's logging; also "time - name - WARNING - text"
//   I1120 09:11:21.123456 7 file.cc:1] …  glog, klog, Abseil, gRPC
//
// Any other line is kept as it is: stdout at info, stderr at debug; at error from a line that
// begins a Go panic or a Python traceback on, until the stream has a line of a known form again.
//
// Pure. Everything in a ParsedLine is sanitised (text.h), and in all at most kMaxExpansion times as
// long as the line.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "daemon/observe/log_entry.h"

namespace plugind::observe {

// A DEL in a nested JSON string becomes \u007f; nothing grows more.
inline constexpr size_t kMaxExpansion = 6;

struct ParsedLine {
  Level level = Level::kDebug;
  std::string message;
  std::string module;
  std::string plugin_time;
  Fields fields;
};

// `failing`: whether the lines of this stream belong to a panic or a traceback; carried from line
// to line.
ParsedLine ParseLine(Source source, std::string_view line, bool& failing);

// The same for one that is not read for structure: its whole text is the message.
ParsedLine PlainLine(Source source, std::string_view line, bool& failing);

// For the parsers of the single forms: each returns nothing when the line is not of its form. Not
// yet sanitised.
std::optional<ParsedLine> ParseJsonLine(std::string_view line);
std::optional<ParsedLine> ParseLogfmtLine(std::string_view line);
std::optional<ParsedLine> ParsePrefixedLine(std::string_view line);

// "warn", "WARNING", "Error", "INFO+2", "dpanic", … in any case.
std::optional<Level> LevelFromWord(std::string_view word);

// Gives each key its place in `line` (level, message, module, time), or leaves it a field. False:
// no level is known.
bool AssignKeys(Fields keys, ParsedLine& line);

}  // namespace plugind::observe
