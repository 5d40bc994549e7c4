// What one plugind tells the next about a plugin, through the keeper: enough to go on as if nothing
// had happened. Written at every change, so that `kill -9` between any two instructions loses
// nothing. Instants are of the one monotonic clock that all processes of a boot share.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/base/clock.h"
#include "daemon/supervisor/handshake.h"
#include "daemon/supervisor/restart_policy.h"
#include "daemon/supervisor/state.h"
#include "daemon/supervisor/status.h"

namespace plugind::supervisor {

// Why a process that is being stopped or has ended did not simply serve.
enum class EndCause : uint8_t {
  kNone,       // it ended by itself
  kAsked,      // stop, replacement: not a failure
  kFailure,    // failed to start or unhealthy; another try may help
  kPermanent,  // cannot work as it is
};

// How far an orderly stop has come.
enum class StopRung : uint8_t {
  kNone,
  kShutdown,   // the Shutdown RPC
  kTerminate,  // SIGTERM
  kKill,       // SIGKILL to the tree
};

struct Record {
  State state = State::kStopped;
  Phase phase = Phase::kNone;
  bool wanted = false;  // by configuration and operator
  WallTime state_since;
  std::string reason;
  uint32_t restarts = 0;
  bool ever_started = false;
  bool automatic = false;  // WAITING or STARTING after an end that nobody asked for
  RestartPolicy policy;
  Instant retry_at;  // BACKOFF, QUARANTINED
  std::optional<LastExit> last_exit;

  // The process, when `instance` is not empty.
  std::string instance;
  int pid = 0;
  uint64_t fingerprint = 0;  // of the configuration that it was started with
  std::optional<Handshake> handshake;
  std::vector<std::string> services;  // that it serves, sorted
  Instant start_deadline;
  Instant ready_since;
  WallTime ready_at;
  bool was_ready = false;
  EndCause end_cause = EndCause::kNone;
  std::string end_reason;
  StopRung rung = StopRung::kNone;
  Instant rung_deadline;

  std::string Encode() const;
  // Nothing when it is not a record of this layout.
  static std::optional<Record> Decode(std::string_view bytes);
  friend bool operator==(const Record&, const Record&) = default;
};

}  // namespace plugind::supervisor
