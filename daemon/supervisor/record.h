// What one plugind tells the next about a plugin, through the keeper: enough to go on as if nothing
// had happened. Written at every change, so that `kill -9` between any two instructions loses
// nothing. Instants are of the one monotonic clock that all processes of a boot share.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/base/clock.h"
#include "daemon/supervisor/handshake.h"
#include "daemon/supervisor/restart_policy.h"
#include "daemon/supervisor/state.h"
#include "daemon/supervisor/status.h"
#include "daemon/tls/identity.h"

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

// What the plugin contract has settled with the process that runs.
struct Terms {
  bool served = false;  // it serves the contract: it is not at the floor
  std::string version;  // of the plugin, as it says
  std::string sdk;
  std::map<std::string, std::string> capabilities;
  bool takes_settings = false;
  uint64_t generation = 0;  // of the settings in force; counts from 1 in each process
  uint64_t settings = 0;    // their fingerprint
  WallTime settings_at;
  std::string status_text;  // of the plugin's own
  friend bool operator==(const Terms&, const Terms&) = default;

  // A capability that was not agreed cannot be used; at the floor nothing was left out.
  bool Allows(const std::string& capability) const {
    return !served || capabilities.contains(capability);
  }
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

  // Settings that the plugin refused: an automatic restart does not try them again.
  uint64_t refused_settings = 0;  // their fingerprint; 0: none
  std::string refusal;

  // The process, when `instance` is not empty.
  std::string instance;
  int pid = 0;
  uint64_t fingerprint = 0;               // of the configuration that it was started with
  std::optional<tls::Identity> identity;  // plugind's towards it, under AutoMTLS
  std::optional<Handshake> handshake;
  std::vector<std::string> services;  // that it serves, sorted
  Terms terms;
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
