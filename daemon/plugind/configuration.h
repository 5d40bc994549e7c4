// The configuration in force. It is read when plugind begins and when it is asked to, and kept with
// the keeper: a successor goes on with it, whatever has become of the files meanwhile, because a
// death of plugind must not apply somebody's half-finished edit.
//
// Owned by Daemon; on the loop.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "daemon/base/clock.h"
#include "daemon/base/custody.h"
#include "daemon/base/status.h"
#include "daemon/base/unique_fd.h"
#include "daemon/config/load.h"
#include "daemon/config/plugin_config.h"
#include "daemon/config/sources.h"
#include "daemon/observe/daemon_log.h"
#include "daemon/plugind/paths.h"

namespace plugind {

class Configuration {
 public:
  // The name under which the keeper keeps it.
  static constexpr char kKeptAs[] = "config";

  struct Reading {
    config::Sources sources;
    config::LoadResult loaded;
  };

  // `log`: the one in force. All outlive it.
  Configuration(const Paths& paths, Keeper& keeper, const Clock& clock,
                std::function<observe::Logger&()> log);

  // What is in force from the start. `kept`: what it was for a predecessor; invalid: there was
  // none. INVALID_ARGUMENT: the files have errors, each of which has been logged.
  absl::Status Begin(const UniqueFd& kept, config::Config* config);
  // The files as they are now. `name`: only that plugin's part of them, and for the rest what is in
  // force, so that only this one's file has to be right. Null: there is no such plugin, neither in
  // the files nor in `running`.
  std::optional<Reading> ReadAgain(const std::string& name, const config::Config& running) const;
  // `sources` are in force from now on, also for a successor.
  void Keep(config::Sources sources);
  WallTime loaded_at() const { return loaded_at_; }

  // Takes note of the schema that `plugin` publishes. FAILED_PRECONDITION: it is no usable one, or
  // the plugin's settings do not fit it.
  absl::Status LearnSchema(const config::PluginConfig& plugin, const std::string& published);

 private:
  config::Sources ReadFiles() const;

  const Paths& paths_;
  Keeper& keeper_;
  const Clock& clock_;
  const std::function<observe::Logger&()> log_;
  config::Sources applied_;
  WallTime loaded_at_;
};

}  // namespace plugind
