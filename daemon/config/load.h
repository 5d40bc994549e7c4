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

// The schemas that [config] tables are held to. A plugin's own is known once it has run, and holds
// as long as its program stays the same; one that its file names (config_schema) is used in its
// stead.
struct SchemaSources {
  // Look at those that are named. A successor of plugind does not: it takes what was in force.
  bool named = false;
  std::string state_dir{};  // where plugins' own are kept; empty: do not look at these
  std::string only{};       // of this plugin alone; empty: of all
};

struct LoadResult {
  Config config;                  // meaningful only when there is no problem
  std::vector<Problem> problems;  // in order of file, line, column; at most 100 and a count of the
                                  // rest for each file
  std::vector<Setting> settings;  // every key of `config` with its origin; meaningful like it
  std::vector<Problem> notes;     // nothing wrong, but worth knowing: "… is not checked …"
  bool ok() const { return problems.empty(); }
};

// `file` is plugind.toml (absolute or relative to the working directory); plugins.d lies beside it.
LoadResult Load(const std::string& file, const LoadOptions& options,
                const SchemaSources& schemas = {.named = true});
LoadResult Load(const Sources& sources, const SchemaSources& schemas = {});

// {"ok":false,"problems":[{"column":1,"file":"…","line":3,"message":"…"}]}, in one line. An empty
// list is {"ok":true,…}. Notes, if there are any, stand under "notes" in the same way.
std::string ProblemsAsJson(const std::vector<Problem>& problems,
                           const std::vector<Problem>& notes = {});

// The parts of Load, for fuzzing: one file's bytes. Relative paths start at the folder of `file`.
void ParseDaemonFile(std::string_view text, const std::string& file, DaemonConfig* config,
                     std::vector<Problem>* problems);
void ParsePluginFile(std::string_view text, const std::string& file, PluginConfig* config,
                     std::vector<Problem>* problems);

}  // namespace plugind::config
