#include "daemon/config/reader.h"

#include <fmt/format.h>

#include <algorithm>

#include "daemon/config/suggest.h"

namespace plugind::config {
namespace {

constexpr uint64_t kUnlimited = UINT64_MAX;

std::string RangeError(std::string_view key, std::string_view min, std::string_view max,
                       std::string_view found) {
  return fmt::format("\"{}\" must be between {} and {}, not {}", key, min, max, found);
}

}  // namespace

void Findings::Add(Position at, std::string message) {
  if (full()) {
    ++left_out_;
    return;
  }
  problems_.push_back({file_, at.line, at.column, std::move(message)});
}

std::vector<Problem> Findings::TakeProblems() {
  std::stable_sort(problems_.begin(), problems_.end(), [](const Problem& a, const Problem& b) {
    return std::pair(a.line, a.column) < std::pair(b.line, b.column);
  });
  if (left_out_ > 0) {
    problems_.push_back({file_, 0, 0, fmt::format("{} more problems in this file", left_out_)});
  }
  return std::move(problems_);
}

Reader::Reader(const Table& root, Findings& findings, std::vector<Setting>& settings)
    : findings_(findings), settings_(settings) {
  sections_.emplace("", Seen{&root, {}});
  RejectNul(root);
}

void Reader::RejectNul(const Table& table) {  // NOLINT(misc-no-recursion): Screen bounds the depth
  for (const auto& entry : table) {
    if (entry.key.find('\0') != std::string::npos) findings_.Add(entry.at, "a NUL character");
    RejectNul(entry.value);
  }
}

void Reader::RejectNul(const Value& value) {  // NOLINT(misc-no-recursion): Screen bounds the depth
  if (const auto* text = value.As<std::string>()) {
    if (text->find('\0') != std::string::npos) findings_.Add(value.at, "a NUL character");
  } else if (const auto* array = value.As<Array>()) {
    for (const auto& item : *array) RejectNul(item);
  } else if (const auto* table = value.As<Table>()) {
    RejectNul(*table);
  }
}

Section Reader::Top() { return {*this, "", {}, sections_.at("")}; }

Section Reader::In(std::string_view table) {
  static const Table kAbsent;
  auto top = Top();
  Seen seen{&kAbsent, {}};
  Position at;
  if (const auto* entry = top.Find(table)) {
    at = entry->at;
    if (const auto* found = entry->value.As<Table>()) {
      seen.table = found;
    } else {
      top.RejectType(table, entry->value, "a table");
    }
  }
  const auto [section, added] = sections_.emplace(table, std::move(seen));
  return {*this, std::string(table), at, section->second};
}

std::string Reader::Home(const std::string& key) const {
  std::string homes;
  for (const auto& [name, other] : sections_) {
    if (std::find(other.known.begin(), other.known.end(), key) == other.known.end()) continue;
    if (!homes.empty()) homes += " or ";
    homes += name.empty() ? "at the top of the file, before the first table"
                          : fmt::format("in [{}]", name);
  }
  return homes.empty() ? "" : "; it belongs " + homes;
}

std::set<std::string> Reader::RejectUnknown() {
  std::set<std::string> guesses;
  for (const auto& [name, seen] : sections_) {
    for (const auto& entry : *seen.table) {
      if (std::find(seen.known.begin(), seen.known.end(), entry.key) != seen.known.end()) continue;
      std::string hint;
      // A file may hold a hundred thousand: none is guessed at that will only be counted.
      if (!findings_.full()) {
        hint = Home(entry.key);
        guesses.insert(hint.empty() ? Nearest(entry.key, seen.known) : entry.key);
        if (hint.empty()) hint = DidYouMean(entry.key, seen.known);
      }
      findings_.Add(entry.at, fmt::format("unknown key {}{}", Shown(entry.key), hint));
    }
  }
  return guesses;
}

std::string Section::Path(std::string_view key) const {
  return name_.empty() ? TomlKey(key) : fmt::format("{}.{}", name_, TomlKey(key));
}

const Entry* Section::Find(std::string_view key) {
  auto& known = seen_.known;
  if (std::find(known.begin(), known.end(), key) == known.end()) known.emplace_back(key);
  const auto& table = *seen_.table;
  const auto entry = std::lower_bound(table.begin(), table.end(), key,
                                      [](const Entry& a, std::string_view b) { return a.key < b; });
  return entry != table.end() && entry->key == key ? &*entry : nullptr;
}

void Section::Reject(Position at, std::string message) {
  reader_.findings_.Add(at, std::move(message));
}

void Section::RejectType(std::string_view key, const Value& value, std::string_view expected) {
  Reject(value.at, fmt::format("{} must be {}, not {}", Shown(key), expected, value.Kind()));
}

void Section::Note(std::string_view key, const Entry* entry, std::string toml) {
  const bool given = entry != nullptr;
  reader_.settings_.push_back({"", Path(key), std::move(toml),
                               given ? reader_.findings_.file() : "", given ? entry->at.line : 0});
}

void Section::NoteIn(std::string_view key, const Entry& entry) {
  reader_.settings_.push_back({"", fmt::format("{}.{}", Path(key), TomlKey(entry.key)),
                               ToToml(entry.value), reader_.findings_.file(), entry.at.line});
}

void Section::Amend(std::string_view key, std::string toml) {
  const auto path = Path(key);
  auto& settings = reader_.settings_;
  const auto last = std::find_if(settings.rbegin(), settings.rend(),
                                 [&](const Setting& setting) { return setting.key == path; });
  if (last != settings.rend()) last->value = std::move(toml);
}

void Section::Read(std::string_view key, bool* out) {
  const auto* entry = Find(key);
  if (entry != nullptr) {
    if (const auto* flag = entry->value.As<bool>()) {
      *out = *flag;
    } else {
      RejectType(key, entry->value, "true or false");
    }
  }
  Note(key, entry, *out ? "true" : "false");
}

void Section::Read(std::string_view key, std::string* out, const Check& check) {
  const auto* entry = Find(key);
  if (entry != nullptr) {
    if (const auto* text = entry->value.As<std::string>()) {
      if (auto error = check(*text); !error.empty()) {
        Reject(entry->value.at, fmt::format("\"{}\": {}", key, error));
      } else {
        *out = *text;
      }
    } else {
      RejectType(key, entry->value, "a string");
    }
  }
  if (entry != nullptr || !out->empty()) Note(key, entry, Quote(*out));
}

bool Section::ReadInteger(std::string_view key, const Value& value, Range<uint64_t> range,
                          uint64_t* out) {
  const auto* number = value.As<int64_t>();
  if (number == nullptr) {
    RejectType(key, value, "an integer");
    return false;
  }
  if (*number < 0 || static_cast<uint64_t>(*number) < range.min ||
      static_cast<uint64_t>(*number) > range.max) {
    Reject(value.at, RangeError(key, fmt::to_string(range.min), fmt::to_string(range.max),
                                fmt::to_string(*number)));
    return false;
  }
  *out = static_cast<uint64_t>(*number);
  return true;
}

void Section::Read(std::string_view key, uint64_t* out, Range<uint64_t> range) {
  const auto* entry = Find(key);
  if (entry != nullptr) ReadInteger(key, entry->value, range, out);
  Note(key, entry, fmt::to_string(*out));
}

void Section::Read(std::string_view key, uint32_t* out, Range<uint32_t> range) {
  uint64_t number = *out;
  Read(key, &number, Range<uint64_t>{range.min, range.max});
  *out = static_cast<uint32_t>(number);
}

void Section::Read(std::string_view key, Duration* out, Range<Duration> range) {
  const auto* entry = Find(key);
  if (entry != nullptr) {
    const auto at = entry->value.at;
    if (const auto* text = entry->value.As<std::string>()) {
      const auto [duration, error] = ParseDuration(*text);
      if (!error.empty()) {
        Reject(at, fmt::format("\"{}\": {}", key, error));
      } else if (duration < range.min || duration > range.max) {
        Reject(at, RangeError(key, ToString(range.min), ToString(range.max), ToString(duration)));
      } else {
        *out = duration;
      }
    } else {
      RejectType(key, entry->value, "a duration such as \"10s\"");
    }
  }
  Note(key, entry, Quote(ToString(*out)));
}

void Section::ReadSize(std::string_view key, uint64_t* out, Range<uint64_t> range, bool unlimited) {
  const auto* entry = Find(key);
  if (entry != nullptr) {
    const auto* text = entry->value.As<std::string>();
    const auto* number = entry->value.As<int64_t>();
    if (text != nullptr && unlimited && *text == "unlimited") {
      *out = kUnlimited;
    } else if (number != nullptr && *number < 0) {
      Reject(entry->value.at, fmt::format("\"{}\" must not be negative", key));
    } else if (text != nullptr || number != nullptr) {
      const auto [size, error] = ParseSize(text != nullptr ? *text : fmt::format("{}B", *number));
      if (!error.empty()) {
        Reject(entry->value.at, fmt::format("\"{}\": {}", key, error));
      } else if (size < range.min || size > range.max) {
        Reject(entry->value.at, RangeError(key, SizeToString(range.min), SizeToString(range.max),
                                           SizeToString(size)));
      } else {
        *out = size;
      }
    } else {
      RejectType(key, entry->value, "a size such as \"64KiB\"");
    }
  }
  Note(key, entry, Quote(*out == kUnlimited ? "unlimited" : SizeToString(*out)));
}

std::vector<Position> Section::Read(std::string_view key, std::vector<std::string>* out,
                                    const Check& check, bool repeats) {
  std::vector<Position> places;
  const auto* entry = Find(key);
  if (entry != nullptr) {
    if (const auto* array = entry->value.As<Array>()) {
      out->clear();
      std::set<std::string_view> seen;
      for (const auto& item : *array) {
        const auto* text = item.As<std::string>();
        if (text == nullptr) {
          Reject(item.at,
                 fmt::format("\"{}\" must be an array of strings, but has {}", key, item.Kind()));
        } else if (auto error = check(*text); !error.empty()) {
          Reject(item.at, fmt::format("\"{}\": {}", key, error));
        } else if (!repeats && !seen.insert(*text).second) {
          Reject(item.at, fmt::format("\"{}\" has {} twice", key, Shown(*text)));
        } else {
          out->push_back(*text);
          places.push_back(item.at);
        }
      }
    } else {
      RejectType(key, entry->value, "an array of strings");
    }
  }
  Note(key, entry, ToToml(*out));
  return places;
}

void Section::Read(std::string_view key, std::vector<uint32_t>* out, Range<uint32_t> range) {
  const auto* entry = Find(key);
  if (entry != nullptr) {
    if (const auto* array = entry->value.As<Array>()) {
      out->clear();
      for (const auto& item : *array) {
        uint64_t number = 0;
        if (item.As<int64_t>() == nullptr) {
          Reject(item.at,
                 fmt::format("\"{}\" must be an array of integers, but has {}", key, item.Kind()));
        } else if (ReadInteger(key, item, {range.min, range.max}, &number)) {
          const auto small = static_cast<uint32_t>(number);
          if (std::find(out->begin(), out->end(), small) != out->end()) {
            Reject(item.at, fmt::format("\"{}\" has {} twice", key, small));
          } else {
            out->push_back(small);
          }
        }
      }
      if (array->empty()) Reject(entry->value.at, fmt::format("\"{}\" must not be empty", key));
    } else {
      RejectType(key, entry->value, "an array of integers");
    }
  }
  Note(key, entry, fmt::format("[{}]", fmt::join(*out, ", ")));
}

void Section::Read(std::string_view key, std::map<std::string, std::string>* out,
                   const Check& check_key, const Check& check_value) {
  const auto* entry = Find(key);
  if (entry == nullptr) return;
  const auto* table = entry->value.As<Table>();
  if (table == nullptr) {
    RejectType(key, entry->value, "a table of strings");
    return;
  }
  for (const auto& [name, at, value] : *table) {
    const auto* text = value.As<std::string>();
    if (auto error = check_key(name); !error.empty()) {
      Reject(at, fmt::format("\"{}\": {}", key, error));
    } else if (text == nullptr) {
      RejectType(name, value, "a string");
    } else if (error = check_value(*text); !error.empty()) {
      Reject(value.at, fmt::format("\"{}\": {}", key, error));
    } else {
      out->emplace(name, *text);
    }
  }
  for (const auto& item : *table) NoteIn(key, item);
}

void Section::ReadWord(std::string_view key, const std::vector<std::string>& words,
                       std::string* out) {
  const auto* entry = Find(key);
  if (entry != nullptr) {
    const auto* word = entry->value.As<std::string>();
    if (word == nullptr) {
      RejectType(key, entry->value, "a string");
    } else if (std::find(words.begin(), words.end(), *word) == words.end()) {
      const auto guess = DidYouMean(*word, words);
      Reject(entry->value.at, fmt::format("\"{}\" must be one of \"{}\", not {}{}", key,
                                          fmt::join(words, "\", \""), Shown(*word), guess));
    } else {
      *out = *word;
    }
  }
  Note(key, entry, Quote(*out));
}

const Table* Section::ReadTable(std::string_view key) {
  const auto* entry = Find(key);
  if (entry == nullptr) return nullptr;
  const auto* table = entry->value.As<Table>();
  if (table == nullptr) RejectType(key, entry->value, "a table");
  return table;
}

}  // namespace plugind::config
