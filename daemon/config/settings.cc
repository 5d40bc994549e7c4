#include "daemon/config/settings.h"

#include <fmt/format.h>

#include <algorithm>

namespace plugind::config {
namespace {

// "health" of "health.interval", empty of "enabled". The first part of a key is never a quoted one.
std::string_view TableOf(std::string_view key) {
  const size_t dot = key.find('.');
  return dot == std::string_view::npos ? std::string_view() : key.substr(0, dot);
}

std::string Line(const Setting& setting, ShowOrigin show) {
  const auto table = TableOf(setting.key);
  const auto key = std::string_view(setting.key).substr(table.empty() ? 0 : table.size() + 1);
  const auto line = fmt::format("{} = {}", key, setting.value);
  if (show == ShowOrigin::kNo) return line + "\n";
  if (setting.file.empty()) return line + "  # default\n";
  // A file's name may hold a newline, and the rest of it must not become a line of its own.
  auto file = setting.file;
  std::replace_if(
      file.begin(), file.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20; }, '?');
  return fmt::format("{}  # {}:{}\n", line, file, setting.line);
}

}  // namespace

std::string ToToml(const std::vector<Setting>& settings, std::string_view plugin, ShowOrigin show) {
  std::vector<std::string_view> tables = {""};  // TOML wants the keys outside any table first
  for (const auto& setting : settings) {
    const auto table = TableOf(setting.key);
    if (setting.plugin == plugin &&
        std::find(tables.begin(), tables.end(), table) == tables.end()) {
      tables.push_back(table);
    }
  }
  std::string toml;
  for (const auto table : tables) {
    if (!table.empty()) toml += fmt::format("{}[{}]\n", toml.empty() ? "" : "\n", table);
    for (const auto& setting : settings) {
      if (setting.plugin == plugin && TableOf(setting.key) == table) toml += Line(setting, show);
    }
  }
  return toml;
}

}  // namespace plugind::config
