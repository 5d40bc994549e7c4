#include "daemon/observe/log_line.h"

#include <algorithm>
#include <array>

#include "daemon/observe/text.h"

namespace plugind::observe {
namespace {

struct LevelWord {
  std::string_view word;
  Level level;
};
constexpr std::array kLevelWords = {
    LevelWord{"trace", Level::kTrace},      LevelWord{"debug", Level::kDebug},
    LevelWord{"dbg", Level::kDebug},        LevelWord{"info", Level::kInfo},
    LevelWord{"information", Level::kInfo}, LevelWord{"notice", Level::kInfo},
    LevelWord{"warn", Level::kWarn},        LevelWord{"warning", Level::kWarn},
    LevelWord{"error", Level::kError},      LevelWord{"err", Level::kError},
    LevelWord{"fatal", Level::kError},      LevelWord{"panic", Level::kError},
    LevelWord{"dpanic", Level::kError},     LevelWord{"critical", Level::kError},
    LevelWord{"crit", Level::kError},       LevelWord{"alert", Level::kError},
    LevelWord{"emerg", Level::kError},      LevelWord{"emergency", Level::kError},
    LevelWord{"severe", Level::kError},
};

char Lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool EqualsLower(std::string_view text, std::string_view lower) {
  return std::equal(text.begin(), text.end(), lower.begin(), lower.end(),
                    [](char a, char b) { return Lower(a) == b; });
}

// bunyan and pino count levels in tens.
std::optional<Level> LevelFromNumber(std::string_view number) {
  if (number == "10") return Level::kTrace;
  if (number == "20") return Level::kDebug;
  if (number == "30") return Level::kInfo;
  if (number == "40") return Level::kWarn;
  if (number == "50" || number == "60") return Level::kError;
  return std::nullopt;
}

bool BeginsFailure(std::string_view line) {
  return line.starts_with("panic: ") || line.starts_with("fatal error: ") ||
         line.starts_with("Traceback (most recent call last):");
}

enum class Role {
  kLevel,
  kMessage,
  kModule,
  kTime,
  kField,
};

// hclog marks its own keys, so that beside them a plugin's "level" is just a field.
Role HclogRole(std::string_view key) {
  if (key == "@level") return Role::kLevel;
  if (key == "@message") return Role::kMessage;
  if (key == "@module") return Role::kModule;
  if (key == "@timestamp") return Role::kTime;
  return Role::kField;
}

Role CommonRole(std::string_view key) {
  if (key == "level" || key == "severity" || key == "lvl") return Role::kLevel;
  if (key == "msg" || key == "message") return Role::kMessage;
  if (key == "logger" || key == "module") return Role::kModule;
  if (key == "time" || key == "ts" || key == "timestamp") return Role::kTime;
  return HclogRole(key);
}

std::optional<ParsedLine> Recognise(std::string_view line) {
  if (line.starts_with('{')) return ParseJsonLine(line);
  if (auto parsed = ParsePrefixedLine(line)) return parsed;
  return ParseLogfmtLine(line);
}

}  // namespace

std::optional<Level> LevelFromWord(std::string_view word) {
  if (const size_t offset = word.find_first_of("+-"); offset != std::string_view::npos) {
    const std::string_view digits = word.substr(offset + 1);  // slog: INFO+2
    if (digits.empty() || digits.find_first_not_of("0123456789") != std::string_view::npos) {
      return std::nullopt;
    }
    word = word.substr(0, offset);
  }
  for (const auto& [known, level] : kLevelWords) {
    if (EqualsLower(word, known)) return level;
  }
  return std::nullopt;
}

bool AssignKeys(Fields keys, ParsedLine& line) {
  const bool hclog = std::any_of(keys.begin(), keys.end(), [](const auto& key) {
    return key.first == "@level" || key.first == "@message";
  });
  bool has_level = false;
  bool has_message = false;
  bool has_module = false;
  bool has_time = false;
  // The first key of a role has it; what comes after stays a field, so that nothing is lost.
  const auto take = [](bool& taken, std::string& place, std::string& value) {
    if (taken) return false;
    taken = true;
    place = std::move(value);
    return true;
  };
  for (auto& [key, value] : keys) {
    bool placed = false;
    switch (hclog ? HclogRole(key) : CommonRole(key)) {
      case Role::kLevel:
        if (!has_level) {
          auto level = LevelFromWord(value);
          if (!level) level = LevelFromNumber(value);
          if (!level) return false;
          line.level = *level;
          has_level = placed = true;
        }
        break;
      case Role::kMessage:
        placed = take(has_message, line.message, value);
        break;
      case Role::kModule:
        placed = take(has_module, line.module, value);
        break;
      case Role::kTime:
        placed = take(has_time, line.plugin_time, value);
        break;
      case Role::kField:
        break;
    }
    if (!placed) line.fields.emplace_back(std::move(key), std::move(value));
  }
  return has_level;
}

ParsedLine ParseLine(Source source, std::string_view line, bool& failing) {
  if (line.ends_with('\r')) line.remove_suffix(1);
  if (auto parsed = BeginsFailure(line) ? std::nullopt : Recognise(line)) {
    failing = false;
    parsed->message = Sanitized(parsed->message);
    parsed->module = Sanitized(parsed->module);
    parsed->plugin_time = Sanitized(parsed->plugin_time);
    for (auto& [key, value] : parsed->fields) {
      key = Sanitized(key);
      value = Sanitized(value);
    }
    return *std::move(parsed);
  }
  return PlainLine(source, line, failing);
}

ParsedLine PlainLine(Source source, std::string_view line, bool& failing) {
  if (line.ends_with('\r')) line.remove_suffix(1);
  failing = failing || BeginsFailure(line);
  ParsedLine raw;
  raw.level = failing ? Level::kError : source == Source::kStdout ? Level::kInfo : Level::kDebug;
  raw.message = Sanitized(line);
  return raw;
}

}  // namespace plugind::observe
