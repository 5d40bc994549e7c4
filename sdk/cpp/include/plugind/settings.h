// The plugin's own settings: the [config] table of its configuration, as Plugin::on_configure gets
// it.
//
// Example:
//   #include <plugind/settings.h>
//
//   struct Limits {
//     int most = 0;
//     double rate = 0;
//   };
//
//   // As on_configure takes it: what it throws or returns refuses the settings, with the field.
//   plugind::Violations ReadLimits(const plugind::Settings& settings, Limits& limits) {
//     limits.most = settings.get("limits.most", 100);  // a fallback gives the type, too
//     limits.rate = settings.require<double>("limits.rate");
//     if (limits.most < 1) return {{"limits.most", "must be at least 1"}};
//     return {};
//   }
#pragma once

#include <plugind/export.h>

#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace google::protobuf {
class Struct;
class Value;
}  // namespace google::protobuf

namespace plugind {

// Why settings are refused. `field` is a path as below; "" means the settings as a whole. `reason`
// is for the person who wrote the setting: "must be at least 1".
struct Violation {
  std::string field;
  std::string reason;
};
using Violations = std::vector<Violation>;

// Thrown by the getters below, and by an author's own code that finds a setting wrong. Out of
// on_configure it refuses the settings with that one violation.
class PLUGIND_EXPORT BadSetting : public std::runtime_error {
 public:
  BadSetting(std::string field, std::string reason);
  ~BadSetting() override;
  const std::string& field() const { return violation_.field; }
  const std::string& reason() const { return violation_.reason; }

 private:
  Violation violation_;
};

// A table of settings, or a part of one. A value: copies share what they hold, which never changes.
//
// A path goes from the top: "limits.most", "servers[2].port". A name with "." or "[" in it cannot
// be reached by one; json() has everything. Numbers are doubles, as they are on the way here; dates
// are RFC 3339 strings.
//
// Thread safety: any thread, as of any const value. Errors: a setting that is there with the wrong
// type is BadSetting, naming its path; one that is absent is not an error but for require().
class PLUGIND_EXPORT Settings {
 public:
  Settings();  // an empty table
  explicit Settings(const google::protobuf::Struct& table);
  // Throws std::invalid_argument if `json` is no JSON object.
  static Settings from_json(const std::string& json);

  // Whether there is anything at `path`.
  bool has(std::string_view path) const;

  // The setting at `path`, nothing if it is absent. T is bool, std::string, or a type of integers
  // or floating point; a number that does not fit into T, or is not whole, is BadSetting.
  template <typename T>
  std::optional<T> find(std::string_view path) const;

  // The same, with what to take where it is absent.
  template <typename T>
  std::enable_if_t<std::is_arithmetic_v<T>, T> get(std::string_view path, T fallback) const {
    return find<T>(path).value_or(fallback);
  }
  std::string get(std::string_view path, std::string fallback) const {
    return find<std::string>(path).value_or(std::move(fallback));
  }

  // The same, and BadSetting where it is absent.
  template <typename T>
  T require(std::string_view path) const {
    std::optional<T> found = find<T>(path);
    if (!found) ThrowMissing(path);
    return *std::move(found);
  }

  // The table at `path`; an empty one where it is absent.
  Settings table(std::string_view path) const;
  // The names in this table, sorted.
  std::vector<std::string> names() const;
  // How many elements the array at `path` has; 0 where it is absent.
  size_t size(std::string_view path) const;
  // The array of strings at `path`; an empty one where it is absent.
  std::vector<std::string> strings(std::string_view path) const;

  // All of it as one line of JSON.
  std::string json() const;

 private:
  using Value = google::protobuf::Value;

  Settings(std::shared_ptr<const Value> value, std::string prefix);
  const Value* Lookup(std::string_view path) const;
  std::string Full(std::string_view path) const;  // with the path of this part
  [[noreturn]] void ThrowType(std::string_view path, const char* expected, const Value& is) const;
  [[noreturn]] void ThrowMissing(std::string_view path) const;

  std::optional<bool> Boolean(std::string_view path) const;
  std::optional<std::string> String(std::string_view path) const;
  std::optional<double> Number(std::string_view path) const;
  std::optional<int64_t> Integer(std::string_view path, int64_t least, int64_t most) const;

  std::shared_ptr<const Value> value_;  // a table; shared, because a part keeps the whole alive
  std::string prefix_;                  // its path; "" is the top
};

template <typename T>
std::optional<T> Settings::find(std::string_view path) const {
  if constexpr (std::is_same_v<T, bool>) {
    return Boolean(path);
  } else if constexpr (std::is_same_v<T, std::string>) {
    return String(path);
  } else if constexpr (std::is_floating_point_v<T>) {
    const std::optional<double> found = Number(path);
    return found ? std::optional<T>(static_cast<T>(*found)) : std::nullopt;
  } else {
    static_assert(std::is_integral_v<T>, "bool, std::string, integers and floating point");
    constexpr auto kTop = static_cast<uint64_t>(std::numeric_limits<int64_t>::max());
    constexpr auto kMost = static_cast<uint64_t>(std::numeric_limits<T>::max());
    const std::optional<int64_t> found =
        Integer(path, static_cast<int64_t>(std::numeric_limits<T>::min()),
                static_cast<int64_t>(kMost < kTop ? kMost : kTop));
    return found ? std::optional<T>(static_cast<T>(*found)) : std::nullopt;
  }
}

}  // namespace plugind
