// Levels, times and names that stand before the text of a line.
#include <array>

#include "daemon/observe/log_line.h"

namespace plugind::observe {
namespace {

constexpr std::string_view kDigits = "0123456789";
constexpr std::string_view kNameCharacters =
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-";

bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool OnlyOf(std::string_view text, std::string_view set) {
  return !text.empty() && text.find_first_not_of(set) == std::string_view::npos;
}
bool IsUpper(std::string_view text) { return OnlyOf(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZ"); }

// Takes pieces off the front of a line.
class Cursor {
 public:
  explicit Cursor(std::string_view rest) : rest_(rest) {}

  std::string_view rest() const { return rest_; }
  bool Take(std::string_view what) {
    if (!rest_.starts_with(what)) return false;
    rest_.remove_prefix(what.size());
    return true;
  }
  std::string_view TakeWhile(std::string_view set) {
    const auto taken = rest_.substr(0, rest_.find_first_not_of(set));
    rest_.remove_prefix(taken.size());
    return taken;
  }
  // Up to `end`, which is taken too; nothing when there is none.
  std::string_view TakeUntil(std::string_view end) {
    const size_t at = rest_.find(end);
    if (at == std::string_view::npos || at == 0) return {};
    const auto taken = rest_.substr(0, at);
    rest_.remove_prefix(at + end.size());
    return taken;
  }
  void SkipSpaces() { TakeWhile(" \t"); }

 private:
  std::string_view rest_;
};

ParsedLine Line(Level level, std::string_view message) {
  ParsedLine line;
  line.level = level;
  line.message = message;
  return line;
}

// "<4>text"
std::optional<ParsedLine> SdDaemon(std::string_view line) {
  if (line.size() < 3 || line[0] != '<' || line[1] < '0' || line[1] > '7' || line[2] != '>') {
    return std::nullopt;
  }
  constexpr std::array kLevels = {Level::kError, Level::kError, Level::kError, Level::kError,
                                  Level::kWarn,  Level::kInfo,  Level::kInfo,  Level::kDebug};
  return Line(kLevels[static_cast<size_t>(line[1] - '0')], line.substr(3));
}

// "I1120 09:11:21.123456   12345 file.cc:123] text", where month and day may be 0000
std::optional<ParsedLine> Glog(std::string_view line) {
  Cursor cursor(line);
  Level level;
  if (cursor.Take("I")) {
    level = Level::kInfo;
  } else if (cursor.Take("W")) {
    level = Level::kWarn;
  } else if (cursor.Take("E") || cursor.Take("F")) {
    level = Level::kError;
  } else if (cursor.Take("D") || cursor.Take("V")) {
    level = Level::kDebug;
  } else {
    return std::nullopt;
  }
  const auto date = cursor.TakeWhile(kDigits);
  if ((date.size() != 4 && date.size() != 8) || !cursor.Take(" ")) return std::nullopt;
  const auto time = cursor.TakeWhile("0123456789:.");
  if (time.find(':') == std::string_view::npos || !cursor.Take(" ")) return std::nullopt;
  cursor.SkipSpaces();
  if (cursor.TakeWhile(kDigits).empty() || !cursor.Take(" ")) return std::nullopt;
  const auto place = cursor.TakeUntil("] ");
  if (place.find(':') == std::string_view::npos || place.find(' ') != std::string_view::npos) {
    return std::nullopt;
  }
  ParsedLine parsed = Line(level, cursor.rest());
  parsed.plugin_time.append(date).append(" ").append(time);
  parsed.fields.emplace_back("caller", place);
  return parsed;
}

// "2024-01-02T03:04:05.678Z", "2024/01/02 03:04:05", "03:04:05,678": a date, a time or both.
std::string_view TakeTime(Cursor& cursor) {
  constexpr std::string_view kTimeCharacters = "0123456789-/:.,TZ+";
  const std::string_view from = cursor.rest();
  const auto is_time = [](std::string_view token) {
    return token.size() >= 5 && IsDigit(token.front()) &&
           token.find_first_of(":/-") != std::string_view::npos;
  };
  Cursor ahead = cursor;
  const auto first = ahead.TakeWhile(kTimeCharacters);
  if (!is_time(first)) return {};
  size_t size = first.size();
  cursor = ahead;
  if (ahead.Take(" ")) {
    const auto second = ahead.TakeWhile(kTimeCharacters);
    if (is_time(second) && second.find(':') != std::string_view::npos) {
      size += 1 + second.size();
      cursor = ahead;
    }
  }
  return from.substr(0, size);
}

// What stands between a time and the rest: blanks, or " - " as in Python's usual format.
bool TakeSeparator(Cursor& cursor) {
  if (cursor.Take(" - ")) return true;
  return !cursor.TakeWhile(" \t").empty();
}

// "[WARN]  text", "[ERROR] text"
std::optional<ParsedLine> Bracketed(Cursor cursor) {
  if (!cursor.Take("[")) return std::nullopt;
  const auto level = LevelFromWord(cursor.TakeUntil("]"));
  if (!level) return std::nullopt;
  cursor.Take(":");
  cursor.SkipSpaces();
  return Line(*level, cursor.rest());
}

// "[2024-01-02T03:04:05Z WARN  crate::module] text", Rust's env_logger
std::optional<ParsedLine> BracketedWithTime(Cursor cursor) {
  if (!cursor.Take("[")) return std::nullopt;
  const auto time = TakeTime(cursor);
  if (time.empty() || !cursor.Take(" ")) return std::nullopt;
  const auto level = LevelFromWord(cursor.TakeWhile("ABCDEFGHIJKLMNOPQRSTUVWXYZ"));
  if (!level) return std::nullopt;
  cursor.SkipSpaces();
  const auto module = cursor.TakeUntil("] ");
  if (module.empty() || module.find(' ') != std::string_view::npos) return std::nullopt;
  ParsedLine parsed = Line(*level, cursor.rest());
  parsed.plugin_time = time;
  parsed.module = module;
  return parsed;
}

// "WARNING:name:text", "ERROR: text", "warning: text"
std::optional<ParsedLine> WithColon(Cursor cursor) {
  const auto word = cursor.TakeWhile(kNameCharacters);
  const auto level = LevelFromWord(word);
  if (!level || !cursor.Take(":")) return std::nullopt;
  if (cursor.Take(" ")) {
    cursor.SkipSpaces();
    return Line(*level, cursor.rest());
  }
  if (!IsUpper(word)) return std::nullopt;
  const auto module = cursor.TakeWhile(kNameCharacters);
  if (module.empty() || !cursor.Take(":")) return std::nullopt;
  ParsedLine parsed = Line(*level, cursor.rest());
  parsed.module = module;
  return parsed;
}

// After a time: "WARN text", "name - WARNING - text"
std::optional<ParsedLine> AfterTime(Cursor cursor) {
  std::string_view module;
  auto word = cursor.TakeWhile(kNameCharacters);
  auto level = LevelFromWord(word);
  if (!level && cursor.Take(" - ")) {
    module = word;
    word = cursor.TakeWhile(kNameCharacters);
    level = LevelFromWord(word);
    if (!cursor.Take(" - ")) return std::nullopt;
  } else if (!TakeSeparator(cursor)) {
    return std::nullopt;
  }
  if (!level || !IsUpper(word)) return std::nullopt;
  ParsedLine parsed = Line(*level, cursor.rest());
  parsed.module = module;
  return parsed;
}

std::optional<ParsedLine> WithLevelWord(const Cursor& cursor, bool after_time) {
  if (auto parsed = Bracketed(cursor)) return parsed;
  if (auto parsed = WithColon(cursor)) return parsed;
  if (after_time) return AfterTime(cursor);
  return std::nullopt;
}

}  // namespace

std::optional<ParsedLine> ParsePrefixedLine(std::string_view line) {
  if (auto parsed = SdDaemon(line)) return parsed;
  if (auto parsed = Glog(line)) return parsed;
  Cursor cursor(line);
  if (auto parsed = BracketedWithTime(cursor)) return parsed;
  const auto time = TakeTime(cursor);
  if (!time.empty() && !TakeSeparator(cursor)) return std::nullopt;
  auto parsed = WithLevelWord(cursor, !time.empty());
  if (parsed) parsed->plugin_time = time;
  return parsed;
}

}  // namespace plugind::observe
