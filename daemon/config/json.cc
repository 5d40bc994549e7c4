#include "daemon/config/json.h"

#include <fmt/format.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <utility>

#include "daemon/config/load.h"

namespace plugind::config {
namespace {

using Json = nlohmann::json;  // keeps its objects sorted by key
using Reject = std::function<void(Position at, std::string message)>;

constexpr int64_t kMaxInteger = int64_t{1} << 53;  // every integer up to it is a double

class Converter {
 public:
  explicit Converter(const Reject& reject) : reject_(reject) {}

  Json Convert(const Table& table) {  // NOLINT(misc-no-recursion): as deep as `depth_` may be
    Json all = Json::object();
    ++depth_;
    for (const auto& entry : table) all[entry.key] = Convert(entry.value);
    --depth_;
    return all;
  }

 private:
  Json Convert(const Value& value) {  // NOLINT(misc-no-recursion)
    if (const auto* flag = value.As<bool>()) return *flag;
    if (const auto* integer = value.As<int64_t>()) return Integer(*integer, value.at);
    if (const auto* text = value.As<std::string>()) return *text;
    if (const auto* time = value.As<DateTime>()) return time->text;
    if (const auto* number = value.As<double>()) return Number(*number, value.at);
    if (depth_ == kMaxSettingsNesting) {
      reject_(value.at,
              fmt::format("[config] is nested deeper than {} levels", kMaxSettingsNesting));
      return nullptr;
    }
    if (const auto* table = value.As<Table>()) return Convert(*table);
    Json all = Json::array();
    ++depth_;
    for (const auto& item : *value.As<Array>()) all.push_back(Convert(item));
    --depth_;
    return all;
  }

  Json Integer(int64_t integer, Position at) const {
    if (integer > kMaxInteger || integer < -kMaxInteger) {
      reject_(at, fmt::format("{} is beyond 2^53: [config] is handed over as doubles, which would "
                              "round it; write it as a string",
                              integer));
    }
    return integer;
  }
  Json Number(double number, Position at) const {
    if (!std::isfinite(number))
      reject_(at, "[config] is handed over as JSON, which has no nan and no inf");
    return number;
  }

  const Reject& reject_;
  size_t depth_ = 0;
};

// A file's name may be any bytes.
std::string Dump(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace

std::string SettingsAsJson(const Table& table, const Reject& reject) {
  return Dump(Converter(reject).Convert(table));
}

std::string ProblemsAsJson(const std::vector<Problem>& problems,
                           const std::vector<Problem>& notes) {
  const auto list = [](const std::vector<Problem>& some) {
    Json all = Json::array();
    for (const auto& problem : some) {
      all.push_back({{"file", problem.file},
                     {"line", problem.line},
                     {"column", problem.column},
                     {"message", problem.message}});
    }
    return all;
  };
  Json all = {{"ok", problems.empty()}, {"problems", list(problems)}};
  if (!notes.empty()) all["notes"] = list(notes);
  return Dump(all);
}

}  // namespace plugind::config
