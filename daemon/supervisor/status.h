// A plugin as others may see it: a copy of what the supervisor knows at one moment. Plain values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "daemon/base/clock.h"
#include "daemon/base/custody.h"
#include "daemon/supervisor/handshake.h"
#include "daemon/supervisor/state.h"

namespace plugind::supervisor {

// How its last process ended.
struct LastExit {
  ExitStatus status;
  WallTime at;
  std::string instance;
  int pid = 0;
  friend bool operator==(const LastExit&, const LastExit&) = default;
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
};

}  // namespace plugind::supervisor
