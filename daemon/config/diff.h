// What a reload has to do: the difference of two configurations, plugin by plugin. A pure function.
#pragma once

#include <string>
#include <vector>

#include "daemon/config/plugin_config.h"

namespace plugind::config {

struct Diff {
  std::vector<std::string> added;
  std::vector<std::string> removed;
  // Differs in something that the running process was started with: it must be restarted.
  std::vector<std::string> changed;
  // Differs only in what plugind itself applies (start_timeout, health, backoff, quarantine, stop,
  // restart, after, enabled, call, access, the file's own path) or hands to the living plugin by
  // Configure ([config]): taken over without touching the process.
  std::vector<std::string> updated;
  std::vector<std::string> unchanged;
  bool daemon_changed = false;
};

// Each list is sorted; each plugin of either side is in exactly one list.
Diff Compare(const Config& before, const Config& after);

// Whether a process started under `before` can go on under `after`.
bool SameProcess(const PluginConfig& before, const PluginConfig& after);

}  // namespace plugind::config
