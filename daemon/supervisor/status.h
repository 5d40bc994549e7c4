// A plugin as others may see it: a copy of what the supervisor knows at one moment. Plain values.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "daemon/base/clock.h"
#include "daemon/base/custody.h"
#include "daemon/supervisor/handshake.h"
#include "daemon/supervisor/state.h"
#include "daemon/tls/client.h"

namespace plugind::supervisor {

// How its last process ended.
struct LastExit {
  ExitStatus status;
  WallTime at;
  std::string instance;
  int pid = 0;
  friend bool operator==(const LastExit&, const LastExit&) = default;
};

// How far the settings of a plugin's process are. (Not within PluginStatus: Clang 14 cannot
// construct an optional of a nested struct with initializers.)
struct SettingsStatus {
  uint64_t generation = 0;
  WallTime accepted_at;
  bool pending = false;  // the plugin has not answered yet
  std::string refused;   // why the present [config] is not in force
};

struct PluginStatus {
  std::string name;
  State state = State::kStopped;
  Phase phase = Phase::kNone;
  int pid = 0;
  std::string instance;
  uint32_t restarts = 0;
  uint32_t protocol_version = 0;
  std::string direct_address;  // a gRPC target; empty before the handshake
  std::optional<Handshake> handshake;
  tls::ClientPtr tls;  // how its connections speak TLS, under AutoMTLS; null before the handshake
  std::vector<std::string> services;  // as its reflection says; empty when it has none
  WallTime state_changed_at;
  std::string reason;
  std::optional<LastExit> last_exit;
  bool enabled = true;
  bool wanted = false;
  std::optional<WallTime> next_start_at;
  bool stuck = false;
  uint32_t recent_failures = 0;
  std::string config_file;
  std::optional<WallTime> ready_at;
  uint64_t log_bytes_dropped = 0;
  std::vector<std::string> after;

  // The plugin contract; see Terms.
  bool contract = false;
  std::string version;
  std::string sdk;
  std::map<std::string, std::string> capabilities;
  std::string status_text;
  std::optional<SettingsStatus> settings;  // nothing: it takes none
};

}  // namespace plugind::supervisor
