// key=value pairs from the first byte of the line to the last, among them a level. Anything less is
// not taken apart.
#include "daemon/observe/log_line.h"

namespace plugind::observe {
namespace {

constexpr size_t kMaxKeys = 128;

bool IsKey(std::string_view key) {
  return !key.empty() && key.find_first_of("\"\\={}[]") == std::string_view::npos;
}

// A Go string in quotes, from behind its opening quote on; `rest` is left behind the closing one.
// The escapes that stand for text are undone; those for bytes are kept as they are written.
std::optional<std::string> TakeQuoted(std::string_view& rest) {
  std::string value;
  while (!rest.empty()) {
    const char c = rest.front();
    rest.remove_prefix(1);
    if (c == '"') return value;
    if (c == '\\' && !rest.empty()) {
      const char escaped = rest.front();
      rest.remove_prefix(1);
      if (escaped == 'n') {
        value.push_back('\n');
      } else if (escaped == 't') {
        value.push_back('\t');
      } else if (escaped == '"' || escaped == '\\') {
        value.push_back(escaped);
      } else {
        value.push_back('\\');
        value.push_back(escaped);
      }
      continue;
    }
    value.push_back(c);
  }
  return std::nullopt;
}

}  // namespace

std::optional<ParsedLine> ParseLogfmtLine(std::string_view line) {
  Fields keys;
  std::string_view rest = line;
  while (!rest.empty()) {
    const size_t equals = rest.find_first_of("= ");
    if (equals == std::string_view::npos || rest[equals] != '=' || keys.size() == kMaxKeys) {
      return std::nullopt;
    }
    const auto key = rest.substr(0, equals);
    if (!IsKey(key)) return std::nullopt;
    rest.remove_prefix(equals + 1);
    if (rest.starts_with('"')) {
      rest.remove_prefix(1);
      auto value = TakeQuoted(rest);
      if (!value || (!rest.empty() && rest.front() != ' ')) return std::nullopt;
      keys.emplace_back(key, *std::move(value));
    } else {
      const auto value = rest.substr(0, rest.find(' '));
      rest.remove_prefix(value.size());
      keys.emplace_back(key, value);
    }
    while (rest.starts_with(' ')) rest.remove_prefix(1);
  }
  if (keys.size() < 2) return std::nullopt;
  ParsedLine parsed;
  if (!AssignKeys(std::move(keys), parsed)) return std::nullopt;
  return parsed;
}

}  // namespace plugind::observe
