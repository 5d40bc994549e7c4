// The two kinds of file, each read from its bytes. What spans files (names twice, `after`) is
// checked by load.cc.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "daemon/config/load.h"
#include "daemon/config/value.h"

namespace plugind::config {

struct DaemonFile {
  DaemonConfig config;
  std::vector<Setting> settings;
  std::vector<Problem> problems;
};

struct PluginFile {
  PluginConfig config;
  Position name_at;                // of line 0 when the name is the file's stem
  std::vector<Position> after_at;  // one for each of config.after
  Table settings_table;            // [config], of which config.settings is the JSON
  Position settings_at;            // of line 0 when there is none
  bool settings_good = false;      // so that they can be held to a schema, whatever else is wrong
  Position config_schema_at;
  std::vector<Setting> settings;
  std::vector<Problem> problems;
};

// `file` is absolute.
DaemonFile ReadDaemonFile(std::string_view text, const std::string& file);
PluginFile ReadPluginFile(std::string_view text, const std::string& file);

// `path`, which starts at the folder of `file` unless it is absolute.
std::string ResolvePath(const std::string& path, const std::string& file);
// The file's name without folder and ".toml".
std::string Stem(const std::string& file);

}  // namespace plugind::config
