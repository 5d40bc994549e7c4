// Reads one file's tree of values into plain fields. Reading a key is what makes it known, so the
// keys that nobody reads are the unknown ones, and each key read is written down as a Setting,
// default or not. One reader for one file, on one thread; it reports every error and stops at none.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "daemon/base/clock.h"
#include "daemon/config/load.h"
#include "daemon/config/quantity.h"
#include "daemon/config/syntax.h"
#include "daemon/config/value.h"

namespace plugind::config {

// What the reading of one file turned up.
class Findings {
 public:
  explicit Findings(std::string file) : file_(std::move(file)) {}

  // Beyond kMaxProblems they are only counted.
  void Add(Position at, std::string message);
  bool full() const { return problems_.size() >= kMaxProblems; }
  const std::string& file() const { return file_; }
  // In order of place, and a count of those left out.
  std::vector<Problem> TakeProblems();

 private:
  static constexpr size_t kMaxProblems = 100;
  std::string file_;
  std::vector<Problem> problems_;
  size_t left_out_ = 0;
};

template <typename T>
struct Range {
  T min;
  T max;
};

class Section;

class Reader {
 public:
  // All outlive the reader. Each key that is read adds to `settings`, whose plugin is for the
  // caller to fill in.
  Reader(const Table& root, Findings& findings, std::vector<Setting>& settings);

  // The keys before the first table.
  Section Top();
  // A table by its key; an empty one when it is absent. Each may be asked for once.
  Section In(std::string_view table);
  // Reports every key that was not read, with a guess at what was meant. Call it after all has been
  // read. Returns the keys that it guessed at: whoever misses one of them need not say so again.
  std::set<std::string> RejectUnknown();

 private:
  friend class Section;
  struct Seen {
    const Table* table;
    std::vector<std::string> known;
  };

  // `; it belongs in [TABLE]`, or empty.
  std::string Home(const std::string& key) const;
  void RejectNul(const Table& table);
  void RejectNul(const Value& value);

  Findings& findings_;
  std::vector<Setting>& settings_;
  std::map<std::string, Seen, std::less<>> sections_;  // by the table's key; "" is the top
};

// One table. Each Read leaves *out, its default, alone when the key is absent or wrong. A handle:
// valid as long as its reader.
class Section {
 public:
  void Read(std::string_view key, bool* out);
  // An unset string is no setting, so that an empty default is not shown.
  void Read(std::string_view key, std::string* out, const Check& check);
  void Read(std::string_view key, uint32_t* out, Range<uint32_t> range);
  void Read(std::string_view key, uint64_t* out, Range<uint64_t> range);
  void Read(std::string_view key, Duration* out, Range<Duration> range);
  // A number of bytes or a text such as "64KiB"; `unlimited` also admits the word, for the greatest
  // number.
  void ReadSize(std::string_view key, uint64_t* out, Range<uint64_t> range, bool unlimited = false);
  // Each string once, unless `repeats`. Returns the elements' places.
  std::vector<Position> Read(std::string_view key, std::vector<std::string>* out,
                             const Check& check, bool repeats = false);
  void Read(std::string_view key, std::vector<uint32_t>* out, Range<uint32_t> range);
  // A table of strings under keys of the file's choosing.
  void Read(std::string_view key, std::map<std::string, std::string>* out, const Check& check_key,
            const Check& check_value);
  // One of a few words.
  template <typename T>
  void ReadWord(std::string_view key, T* out, const std::vector<std::pair<std::string, T>>& words) {
    std::vector<std::string> names;
    std::string word;
    for (const auto& [name, value] : words) {
      names.push_back(name);
      if (value == *out) word = name;
    }
    ReadWord(key, names, &word);
    for (const auto& [name, value] : words) {
      if (name == word) *out = value;
    }
  }
  // A table of anything, as it stands; null when absent or wrong.
  const Table* ReadTable(std::string_view key);

  // What stands under `key`, which is known from now on; null when absent.
  const Entry* Find(std::string_view key);
  void Reject(Position at, std::string message);
  // Writes down that `key`, found at `entry` (null: the default), is `toml`.
  void Note(std::string_view key, const Entry* entry, std::string toml);
  // The same of one entry of the table under `key`.
  void NoteIn(std::string_view key, const Entry& entry);
  // Corrects what Note wrote last about `key`, if it did.
  void Amend(std::string_view key, std::string toml);

  // `"KEY" must be EXPECTED, not an integer`.
  void RejectType(std::string_view key, const Value& value, std::string_view expected);
  // The table's own place; of line 0 when it is absent.
  Position at() const { return at_; }

 private:
  friend class Reader;
  Section(Reader& reader, std::string name, Position at, Reader::Seen& seen)
      : reader_(reader), name_(std::move(name)), at_(at), seen_(seen) {}

  void ReadWord(std::string_view key, const std::vector<std::string>& words, std::string* out);
  // Whether `value` is an integer in the range; a problem when not.
  bool ReadInteger(std::string_view key, const Value& value, Range<uint64_t> range, uint64_t* out);
  // "health.interval" for "interval".
  std::string Path(std::string_view key) const;

  Reader& reader_;
  std::string name_;
  Position at_;
  Reader::Seen& seen_;
};

}  // namespace plugind::config
