// From a plugin's configuration to what the keeper is asked to spawn, and from a failed spawn to
// words. Touches the file system: each instance has a private directory, RUNTIME/i/ID, where its
// sockets lie.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "daemon/base/custody.h"
#include "daemon/base/status.h"
#include "daemon/base/unique_fd.h"
#include "daemon/config/plugin_config.h"

namespace plugind::supervisor {

// The daemon's two directories, absolute and canonical.
struct Directories {
  std::string runtime;
  std::string state;

  std::string Instance(std::string_view id) const;       // RUNTIME/i/ID
  std::string PluginState(std::string_view name) const;  // STATE/plugins/NAME, kept across restarts
};

struct Launch {
  SpawnSpec spec;
  UniqueFd executable;  // invalid for a script
};

// A name that no instance had or has: 8 hexadecimal digits at random, whose directory does not
// exist.
std::string NewInstanceId(const Directories& directories);

// Makes the directories and finds the executable. Errors name the path and the cause;
// FAILED_PRECONDITION and NOT_FOUND are the configuration's or the file's fault and final, others
// (no space, no memory) may pass. `client_certificate` is plugind's towards it, PEM, under
// AutoMTLS.
absl::StatusOr<Launch> PrepareLaunch(const config::PluginConfig& config,
                                     const std::string& instance, const Directories& directories,
                                     const std::string& client_certificate = "");

// Removes the instance's directory with what is in it. A plugin may have filled it with anything
// but not moved it.
void RemoveInstanceDirectory(const Directories& directories, std::string_view instance);

struct SpawnFailure {
  std::string reason;
  bool permanent;  // trying again cannot help
};
// In words: "no such interpreter", "exec format error (this is an aarch64 binary)", "noexec mount",
// …
SpawnFailure DiagnoseSpawnFailure(const config::PluginConfig& config, SpawnStep step, int error);

// Equal for two configurations exactly when a process started under one can go on under the other,
// as config::SameProcess says (but for collisions of a 64-bit hash). Stable over versions of
// plugind that share the record's layout.
uint64_t ProcessFingerprint(const config::PluginConfig& config);

}  // namespace plugind::supervisor
