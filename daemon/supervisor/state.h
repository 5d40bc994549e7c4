// A plugin's life as a table: ten states, what may happen to a plugin, and for every pair exactly
// one answer. Pure values and functions; Plugin (plugin.h) applies them and does what entering a
// state calls for.
#pragma once

#include <cstdint>
#include <string_view>

namespace plugind::supervisor {

// The numbers are those of Plugin.State in control.proto, and of records handed to a successor:
// never renumber.
enum class State : uint8_t {
  kStopped = 1,      // not wanted, or finished
  kWaiting = 2,      // wanted; dependencies not ready, or the restart budget is empty
  kStarting = 3,     // see Phase
  kReady = 4,        // serving
  kUnready = 5,      // alive, but its health says NOT_SERVING
  kDraining = 6,     // no new calls, running ones finish
  kStopping = 7,     // Shutdown RPC, SIGTERM, SIGKILL; or swept up after its main process exited
  kBackoff = 8,      // died; waits for its next start
  kQuarantined = 9,  // crash loop; waits for a half-open retry
  kFailed = 10,      // cannot work until its configuration or an operator changes something
};
inline constexpr State kFirstState = State::kStopped;
inline constexpr State kLastState = State::kFailed;

// How far a start has come. Each names itself in the reason when it fails.
enum class Phase : uint8_t {
  kNone,
  kSpawn,      // the keeper forks and execs
  kHandshake,  // its line on stdout
  kConnect,    // its socket
  kNegotiate,  // versions and capabilities (the plugin contract)
  kConfigure,  // its settings (the plugin contract)
  kWarmUp,     // its health, until SERVING
};

// What may happen. The five "ended" inputs say that no process of the plugin is left, and what the
// restart policy makes of it; the policy is asked before, so that this table needs no memory.
enum class Input : uint8_t {
  kStart,             // it is wanted: configuration, operator
  kStop,              // it is not wanted, or its process must be replaced
  kAdmitted,          // its dependencies are READY and the restart budget has room
  kServing,           // its health says SERVING
  kNotServing,        // its health says anything else
  kStartFailed,       // a phase failed or ran out of time while the process lives
  kUnhealthy,         // its health does not answer, or was NOT_SERVING for too long
  kDrained,           // nothing in flight, or the drain's deadline
  kExited,            // the main process ended; what is left of its tree is being killed
  kEndedStopped,      // gone, and not wanted or finished
  kEndedRestart,      // gone; to be started again without delay
  kEndedBackoff,      // gone; to be started after a delay
  kEndedQuarantined,  // gone once too often
  kEndedFailed,       // gone, and starting it again cannot help
  kRetryDue,          // the delay is over
};
inline constexpr Input kFirstInput = Input::kStart;
inline constexpr Input kLastInput = Input::kRetryDue;

struct Step {
  enum class Verdict : uint8_t {
    kMove,     // to `next`
    kStay,     // expected here, and nothing changes
    kInvalid,  // cannot happen here: a defect of plugind, reported as such and ignored
  };
  Verdict verdict;
  State next;
  friend bool operator==(const Step&, const Step&) = default;
};

// The only place that knows the transitions.
Step Transition(State state, Input input);

// Whether a process of the plugin may exist.
bool HasProcess(State state);

std::string_view ToString(State state);  // "READY"
std::string_view ToString(Phase phase);  // "handshake"; "" for kNone
std::string_view ToString(Input input);  // "exited"

}  // namespace plugind::supervisor
