// Reads plugind.toml and plugins.d/*.toml into a Config. Every error is found in one pass, each
// with its place; a configuration with any error is not used at all. Pure but for reading files and
// looking up users and groups.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/config/plugin_config.h"
#include "daemon/config/settings.h"

namespace plugind::config {

// One thing wrong, e.g. {"/etc/plugind/plugins.d/kv.toml", 3, 1, "unknown key \"comand\"; did you
// mean \"command\"?"}.
struct Problem {
  std::string file;
  uint32_t line = 0;    // from 1; 0: the file as a whole
  uint32_t column = 0;  // from 1, in bytes
  std::string message;

  // "FILE:LINE:COL: MESSAGE", without the parts that are 0.
  std::string ToString() const;
  friend bool operator==(const Problem&, const Problem&) = default;
};

struct LoadResult {
  Config config;                  // meaningful only when there is no problem
  std::vector<Problem> problems;  // in order of file, line, column; at most 100 and a count of the
                                  // rest for each file
  std::vector<Setting> settings;  // every key of `config` with its origin; meaningful like it
  bool ok() const { return problems.empty(); }
};

struct LoadOptions {
  bool file_required =
      true;  // whether a missing plugind.toml is an error: it is when the user named it
};

// `file` is plugind.toml (absolute or relative to the working directory); plugins.d lies beside it.
LoadResult Load(const std::string& file, const LoadOptions& options);

// {"ok":false,"problems":[{"column":1,"file":"…","line":3,"message":"…"}]}, in one line. An empty
// list is {"ok":true,…}.
std::string ProblemsAsJson(const std::vector<Problem>& problems);

// The parts of Load, for fuzzing: one file's bytes. Relative paths start at the folder of `file`.
void ParseDaemonFile(std::string_view text, const std::string& file, DaemonConfig* config,
                     std::vector<Problem>* problems);
void ParsePluginFile(std::string_view text, const std::string& file, PluginConfig* config,
                     std::vector<Problem>* problems);

}  // namespace plugind::config
