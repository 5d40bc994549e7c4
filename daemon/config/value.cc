#include "daemon/config/value.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>

namespace plugind::config {
namespace {

constexpr size_t kShownBytes = 64;

template <typename... Fs>
struct Overloaded : Fs... {
  using Fs::operator()...;
};
template <typename... Fs>
Overloaded(Fs...) -> Overloaded<Fs...>;

bool IsBareKeyCharacter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
         c == '-';
}

// TOML tells floats from integers by a point or an exponent.
std::string FloatToToml(double number) {
  if (std::isnan(number)) return "nan";
  if (std::isinf(number)) return number > 0 ? "inf" : "-inf";
  std::string text = fmt::format("{}", number);
  if (text.find_first_of(".e") == std::string::npos) text += ".0";
  return text;
}

template <typename List, typename Print>
std::string Join(const List& list, std::string_view open, std::string_view close, Print print) {
  std::string text(open);
  for (size_t i = 0; i < list.size(); ++i) {
    if (i > 0) text += ", ";
    text += print(list[i]);
  }
  text += close;
  return text;
}

}  // namespace

std::string_view Value::Kind() const {
  return std::visit(Overloaded{
                        [](bool) -> std::string_view { return "a boolean"; },
                        [](int64_t) -> std::string_view { return "an integer"; },
                        [](double) -> std::string_view { return "a float"; },
                        [](const std::string&) -> std::string_view { return "a string"; },
                        [](const DateTime&) -> std::string_view { return "a date or time"; },
                        [](const Array&) -> std::string_view { return "an array"; },
                        [](const Table&) -> std::string_view { return "a table"; },
                    },
                    data);
}

std::string Quote(std::string_view text) {
  std::string quoted = "\"";
  auto out = std::back_inserter(quoted);
  for (size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    const auto next = i + 1 < text.size() ? static_cast<unsigned char>(text[i + 1]) : 0;
    if (byte == '"' || byte == '\\') {
      fmt::format_to(out, "\\{}", text[i]);
    } else if (byte == '\n') {
      quoted += "\\n";
    } else if (byte == '\t') {
      quoted += "\\t";
    } else if (byte < 0x20 || byte == 0x7f) {
      fmt::format_to(out, "\\u{:04X}", byte);
    } else if (byte == 0xc2 && next >= 0x80 && next < 0xa0) {  // C1: some terminals obey these too
      fmt::format_to(out, "\\u{:04X}", next);
      ++i;
    } else {
      quoted += text[i];
    }
  }
  quoted += '"';
  return quoted;
}

std::string Shown(std::string_view text) {
  if (text.size() <= kShownBytes) return Quote(text);
  size_t end = kShownBytes;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80)
    --end;  // whole characters
  return Quote(std::string(text.substr(0, end)) + "…");
}

std::string TomlKey(std::string_view key) {
  const bool bare = !key.empty() && std::all_of(key.begin(), key.end(), IsBareKeyCharacter);
  return bare ? std::string(key) : Quote(key);
}

std::string ToToml(const Value& value) {
  return std::visit(Overloaded{
                        [](bool flag) { return std::string(flag ? "true" : "false"); },
                        [](int64_t number) { return fmt::format("{}", number); },
                        [](double number) { return FloatToToml(number); },
                        [](const std::string& text) { return Quote(text); },
                        [](const DateTime& time) { return time.text; },
                        [](const Array& array) {
                          return Join(array, "[", "]",
                                      [](const Value& item) { return ToToml(item); });
                        },
                        [](const Table& table) {
                          if (table.empty()) return std::string("{}");
                          return Join(table, "{ ", " }", [](const Entry& entry) {
                            return fmt::format("{} = {}", TomlKey(entry.key), ToToml(entry.value));
                          });
                        },
                    },
                    value.data);
}

std::string ToToml(const std::vector<std::string>& strings) {
  return Join(strings, "[", "]", [](const std::string& text) { return Quote(text); });
}

}  // namespace plugind::config
