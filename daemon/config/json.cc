#include "daemon/config/json.h"

#include <cmath>
#include <nlohmann/json.hpp>
#include <utility>

#include "daemon/config/load.h"

namespace plugind::config {
namespace {

using Json = nlohmann::json;  // keeps its objects sorted by key
using Reject = std::function<void(Position at, std::string message)>;

Json Convert(const Table& table, const Reject& reject);

Json Convert(const Value& value, const Reject& reject) {  // NOLINT(misc-no-recursion): see Screen
  if (const auto* flag = value.As<bool>()) return *flag;
  if (const auto* integer = value.As<int64_t>()) return *integer;
  if (const auto* text = value.As<std::string>()) return *text;
  if (const auto* time = value.As<DateTime>()) return time->text;
  if (const auto* table = value.As<Table>()) return Convert(*table, reject);
  if (const auto* array = value.As<Array>()) {
    Json all = Json::array();
    for (const auto& item : *array) all.push_back(Convert(item, reject));
    return all;
  }
  const double number = *value.As<double>();
  if (!std::isfinite(number)) {
    reject(value.at, "[config] is handed over as JSON, which has no nan and no inf");
  }
  return number;
}

Json Convert(const Table& table, const Reject& reject) {  // NOLINT(misc-no-recursion): see Screen
  Json all = Json::object();
  for (const auto& entry : table) all[entry.key] = Convert(entry.value, reject);
  return all;
}

// A file's name may be any bytes.
std::string Dump(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace

std::string SettingsAsJson(const Table& table, const Reject& reject) {
  return Dump(Convert(table, reject));
}

std::string ProblemsAsJson(const std::vector<Problem>& problems) {
  Json all = Json::array();
  for (const auto& problem : problems) {
    all.push_back({{"file", problem.file},
                   {"line", problem.line},
                   {"column", problem.column},
                   {"message", problem.message}});
  }
  return Dump({{"ok", problems.empty()}, {"problems", std::move(all)}});
}

}  // namespace plugind::config
