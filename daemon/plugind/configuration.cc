#include "daemon/plugind/configuration.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "daemon/config/schema_store.h"

namespace plugind {

Configuration::Configuration(const Paths& paths, Keeper& keeper, const Clock& clock,
                             std::function<observe::Logger&()> log)
    : paths_(paths), keeper_(keeper), clock_(clock), log_(std::move(log)) {}

config::Sources Configuration::ReadFiles() const {
  return config::ReadSources(paths_.config_file, {.file_required = paths_.config_required});
}

absl::Status Configuration::Begin(const UniqueFd& kept, config::Config* config) {
  config::Sources sources;
  if (kept.valid() && config::ReadSnapshot(kept, &sources)) {
    config::LoadResult loaded = config::Load(sources);
    if (loaded.ok()) {
      *config = std::move(loaded.config);
      applied_ = std::move(sources);
      loaded_at_ = clock_.WallNow();
      return absl::OkStatus();
    }
    log_().Error("the configuration that was in force does not load any more; reading the files");
  }
  sources = ReadFiles();
  // What plugins published once is left out: a plugin whose settings do not fit fails alone.
  config::LoadResult loaded = config::Load(sources, {.named = true});
  for (const auto& problem : loaded.problems) log_().Error(problem.ToString());
  if (!loaded.ok()) {
    return Error(absl::StatusCode::kInvalidArgument, "the configuration has {} error(s)",
                 loaded.problems.size());
  }
  *config = std::move(loaded.config);
  Keep(std::move(sources));
  return absl::OkStatus();
}

std::optional<Configuration::Reading> Configuration::ReadAgain(
    const std::string& name, const config::Config& running) const {
  const config::SchemaSources schemas{.named = true, .state_dir = paths_.state_dir, .only = name};
  Reading reading{ReadFiles(), {}};
  reading.loaded = config::Load(reading.sources, schemas);
  if (name.empty()) return reading;
  config::Sources merged = applied_;
  const auto now = running.plugins.find(name);
  const auto next = reading.loaded.config.plugins.find(name);
  if (now == running.plugins.end() && next == reading.loaded.config.plugins.end()) {
    return std::nullopt;
  }
  if (now != running.plugins.end()) merged.TakePlugin(now->second.file, reading.sources);
  if (next != reading.loaded.config.plugins.end()) {
    merged.TakePlugin(next->second.file, reading.sources);
  }
  reading.sources = std::move(merged);
  reading.loaded = config::Load(reading.sources, schemas);
  return reading;
}

void Configuration::Keep(config::Sources sources) {
  applied_ = std::move(sources);
  loaded_at_ = clock_.WallNow();
  const UniqueFd snapshot = config::WriteSnapshot(applied_);
  if (snapshot.valid()) {
    keeper_.KeepFd(kKeptAs, snapshot);
  } else {
    log_().Error("no memory to keep the configuration for a successor");
  }
}

// What was published is kept even if the settings do not fit it: it is what they must be corrected
// by.
absl::Status Configuration::LearnSchema(const config::PluginConfig& plugin,
                                        const std::string& published) {
  constexpr size_t kMisfitsTold = 4;
  std::string error;
  if (!config::SaveSchema(paths_.state_dir, plugin, published, &error)) {
    log_().Error(
        "a plugin's schema is not kept: its settings are checked when it starts, not before",
        {{"plugin", plugin.name}, {"cause", error}});
    error.clear();
  }
  const auto schema = config::SchemaInForce(plugin, published, &error);
  if (!error.empty()) return absl::FailedPreconditionError(error);
  if (!schema) return absl::OkStatus();
  const std::vector<config::Misfit> misfits = schema->Check(plugin.settings);
  if (misfits.empty()) return absl::OkStatus();
  std::string told;
  for (size_t i = 0; i < std::min(misfits.size(), kMisfitsTold); ++i) {
    told += (i > 0 ? "; " : "") + misfits[i].ToString();
  }
  if (misfits.size() > kMisfitsTold) {
    told += fmt::format("; and {} more", misfits.size() - kMisfitsTold);
  }
  return Error(absl::StatusCode::kFailedPrecondition, "its settings do not fit its schema: {}",
               told);
}

}  // namespace plugind
