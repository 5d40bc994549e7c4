// A TOML document as a tree of plain values, each with its place in the file. It stands between
// toml++, which only document.cc sees, and everything else.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace plugind::config {

struct Position {
  uint32_t line = 0;    // from 1; 0: the file as a whole
  uint32_t column = 0;  // from 1, in bytes
  friend bool operator==(const Position&, const Position&) = default;
};

struct Value;
struct Entry;
using Array = std::vector<Value>;
using Table = std::vector<Entry>;  // sorted by key, each key once

struct DateTime {
  std::string text;  // RFC 3339, or the part of it that was given
};

struct Value {
  Position at;
  std::variant<bool, int64_t, double, std::string, DateTime, Array, Table> data;

  template <typename T>
  const T* As() const {
    return std::get_if<T>(&data);
  }
  // "an integer", "a table", …
  std::string_view Kind() const;
};

struct Entry {
  std::string key;
  Position at;
  Value value;
};

// `text` as a TOML basic string, quotes included; nothing in it can move a terminal's cursor.
std::string Quote(std::string_view text);
// Like Quote, but shortened to what a message can carry.
std::string Shown(std::string_view text);
// `key` bare where TOML allows that, else quoted.
std::string TomlKey(std::string_view key);
// In one line: tables are inline.
std::string ToToml(const Value& value);
std::string ToToml(const std::vector<std::string>& strings);

}  // namespace plugind::config
