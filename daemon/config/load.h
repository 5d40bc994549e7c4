// Reads plugind.toml and plugins.d/*.toml into a Config. Every error is found in one pass, each
// with its place; a configuration with any error is not used at all. Pure but for reading files and
// looking up users and groups.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/config/plugin_config.h"
#include "daemon/config/problem.h"
#include "daemon/config/settings.h"
#include "daemon/config/sources.h"

namespace plugind::config {

struct LoadResult {
  Config config;                  // meaningful only when there is no problem
  std::vector<Problem> problems;  // in order of file, line, column; at most 100 and a count of the
                                  // rest for each file
  std::vector<Setting> settings;  // every key of `config` with its origin; meaningful like it
  bool ok() const { return problems.empty(); }
};

// `file` is plugind.toml (absolute or relative to the working directory); plugins.d lies beside it.
LoadResult Load(const std::string& file, const LoadOptions& options);
LoadResult Load(const Sources& sources);

// {"ok":false,"problems":[{"column":1,"file":"…","line":3,"message":"…"}]}, in one line. An empty
// list is {"ok":true,…}.
std::string ProblemsAsJson(const std::vector<Problem>& problems);

// The parts of Load, for fuzzing: one file's bytes. Relative paths start at the folder of `file`.
void ParseDaemonFile(std::string_view text, const std::string& file, DaemonConfig* config,
                     std::vector<Problem>* problems);
void ParsePluginFile(std::string_view text, const std::string& file, PluginConfig* config,
                     std::vector<Problem>* problems);

}  // namespace plugind::config
