#include "daemon/config/diff.h"

#include <tuple>

namespace plugind::config {
namespace {

// What the running process was started with. The binding names every field, so that a new one does
// not compile before somebody has decided on which side it is.
auto ProcessPart(const PluginConfig& config) {
  const auto& [name, file, command, enabled, env, working_directory, user, group, identity,
               magic_cookie, protocol_versions, allow_tcp, auto_mtls, start_timeout, restart, after,
               backoff, quarantine, health, stop, limits, call, access, capabilities, settings,
               config_schema] = config;
  // `identity` stands for `user` and `group`: another name for the same ids changes nothing for the
  // process.
  return std::tie(name, command, env, working_directory, identity, magic_cookie, protocol_versions,
                  allow_tcp, auto_mtls, limits, capabilities);
}

}  // namespace

bool SameProcess(const PluginConfig& before, const PluginConfig& after) {
  return ProcessPart(before) == ProcessPart(after);
}

Diff Compare(const Config& before, const Config& after) {
  Diff diff;
  diff.daemon_changed = before.daemon != after.daemon;
  for (const auto& [name, plugin] : before.plugins) {
    const auto found = after.plugins.find(name);
    if (found == after.plugins.end()) {
      diff.removed.push_back(name);
    } else if (!SameProcess(plugin, found->second)) {
      diff.changed.push_back(name);
    } else if (plugin != found->second) {
      diff.updated.push_back(name);
    } else {
      diff.unchanged.push_back(name);
    }
  }
  for (const auto& [name, plugin] : after.plugins) {
    if (!before.plugins.contains(name)) diff.added.push_back(name);
  }
  return diff;
}

}  // namespace plugind::config
