// Where each setting comes from: the configuration key by key, defaults included, for `config show
// [--origin]`. Plain values; made by Load, beside the Config that they describe.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace plugind::config {

// E.g. {"kv", "health.interval", "\"5s\"", "/etc/plugind/plugins.d/kv.toml", 7}.
struct Setting {
  std::string plugin;  // empty: a setting of plugind.toml
  std::string key;     // the whole path; a part that is no bare TOML key is quoted
  std::string value;   // as TOML, in one line
  std::string file;    // where it is set; empty: the default
  uint32_t line = 0;   // 0 with a default
  friend bool operator==(const Setting&, const Setting&) = default;
};

enum class ShowOrigin {
  kNo,
  kYes,  // every line ends in a comment: "# FILE:LINE" or "# default"
};

// The settings of one plugin (or of plugind.toml, when `plugin` is empty) as a TOML file that loads
// to the same values.
std::string ToToml(const std::vector<Setting>& settings, std::string_view plugin, ShowOrigin show);

}  // namespace plugind::config
