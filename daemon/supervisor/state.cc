#include "daemon/supervisor/state.h"

#include <array>
#include <cstddef>

namespace plugind::supervisor {
namespace {

constexpr size_t kStates = static_cast<size_t>(kLastState);
constexpr size_t kInputs = static_cast<size_t>(kLastInput) + 1;

constexpr Step Go(State next) { return {Step::Verdict::kMove, next}; }
// The cell's own state is filled in by Transition().
constexpr Step kStay = {Step::Verdict::kStay, kFirstState};
constexpr Step kNever = {Step::Verdict::kInvalid, kFirstState};

constexpr Step kToStopped = Go(State::kStopped);
constexpr Step kToWaiting = Go(State::kWaiting);
constexpr Step kToStarting = Go(State::kStarting);
constexpr Step kToReady = Go(State::kReady);
constexpr Step kToUnready = Go(State::kUnready);
constexpr Step kToDraining = Go(State::kDraining);
constexpr Step kToStopping = Go(State::kStopping);
constexpr Step kToBackoff = Go(State::kBackoff);
constexpr Step kToQuarantined = Go(State::kQuarantined);
constexpr Step kToFailed = Go(State::kFailed);

// clang-format off
constexpr std::array<std::array<Step, kInputs>, kStates> kTable = {{
    // kStart      kStop        kAdmitted    kServing  kNotServing kStartFailed kUnhealthy   kDrained     kExited
    //     kEndedStopped kEndedRestart kEndedBackoff kEndedQuarantined kEndedFailed kRetryDue
    /* STOPPED */ {{
        kToWaiting, kStay,       kNever,      kNever,   kNever,     kNever,      kNever,      kNever,      kNever,
            kNever,      kNever,       kNever,       kNever,         kNever,      kNever}},
    /* WAITING */ {{
        kStay,      kToStopped,  kToStarting, kNever,   kNever,     kNever,      kNever,      kNever,      kNever,
            kNever,      kNever,       kNever,       kNever,         kNever,      kNever}},
    /* STARTING */ {{
        kStay,      kToStopping, kNever,      kToReady, kStay,      kToStopping, kToStopping, kNever,      kToStopping,
            kToStopped,  kToWaiting,   kToBackoff,   kToQuarantined, kToFailed,   kNever}},
    /* READY */ {{
        kStay,      kToDraining, kNever,      kStay,    kToUnready, kNever,      kToStopping, kNever,      kToStopping,
            kToStopped,  kToWaiting,   kToBackoff,   kToQuarantined, kToFailed,   kNever}},
    /* UNREADY */ {{
        kStay,      kToDraining, kNever,      kToReady, kStay,      kNever,      kToStopping, kNever,      kToStopping,
            kToStopped,  kToWaiting,   kToBackoff,   kToQuarantined, kToFailed,   kNever}},
    /* DRAINING: a start takes effect when the process is gone */ {{
        kStay,      kStay,       kNever,      kStay,    kStay,      kNever,      kToStopping, kToStopping, kToStopping,
            kToStopped,  kToWaiting,   kToBackoff,   kToQuarantined, kToFailed,   kNever}},
    /* STOPPING: nothing but its end leads out */ {{
        kStay,      kStay,       kNever,      kStay,    kStay,      kStay,       kStay,       kStay,       kStay,
            kToStopped,  kToWaiting,   kToBackoff,   kToQuarantined, kToFailed,   kNever}},
    /* BACKOFF */ {{
        kToWaiting, kToStopped,  kNever,      kNever,   kNever,     kNever,      kNever,      kNever,      kNever,
            kNever,      kNever,       kNever,       kNever,         kNever,      kToWaiting}},
    /* QUARANTINED */ {{
        kToWaiting, kToStopped,  kNever,      kNever,   kNever,     kNever,      kNever,      kNever,      kNever,
            kNever,      kNever,       kNever,       kNever,         kNever,      kToWaiting}},
    /* FAILED */ {{
        kToWaiting, kToStopped,  kNever,      kNever,   kNever,     kNever,      kNever,      kNever,      kNever,
            kNever,      kNever,       kNever,       kNever,         kNever,      kNever}},
}};
// clang-format on

}  // namespace

Step Transition(State state, Input input) {
  Step step = kTable[static_cast<size_t>(state) - 1][static_cast<size_t>(input)];
  if (step.verdict != Step::Verdict::kMove) step.next = state;
  return step;
}

bool HasProcess(State state) {
  switch (state) {
    case State::kStarting:
    case State::kReady:
    case State::kUnready:
    case State::kDraining:
    case State::kStopping:
      return true;
    case State::kStopped:
    case State::kWaiting:
    case State::kBackoff:
    case State::kQuarantined:
    case State::kFailed:
      return false;
  }
  return false;
}

std::string_view ToString(State state) {
  switch (state) {
    case State::kStopped:
      return "STOPPED";
    case State::kWaiting:
      return "WAITING";
    case State::kStarting:
      return "STARTING";
    case State::kReady:
      return "READY";
    case State::kUnready:
      return "UNREADY";
    case State::kDraining:
      return "DRAINING";
    case State::kStopping:
      return "STOPPING";
    case State::kBackoff:
      return "BACKOFF";
    case State::kQuarantined:
      return "QUARANTINED";
    case State::kFailed:
      return "FAILED";
  }
  return "UNKNOWN";
}

std::string_view ToString(Phase phase) {
  switch (phase) {
    case Phase::kNone:
      return "";
    case Phase::kSpawn:
      return "spawn";
    case Phase::kHandshake:
      return "handshake";
    case Phase::kConnect:
      return "connect";
    case Phase::kNegotiate:
      return "negotiate";
    case Phase::kConfigure:
      return "configure";
    case Phase::kWarmUp:
      return "warm-up";
  }
  return "unknown";
}

std::string_view ToString(Input input) {
  switch (input) {
    case Input::kStart:
      return "start";
    case Input::kStop:
      return "stop";
    case Input::kAdmitted:
      return "admitted";
    case Input::kServing:
      return "serving";
    case Input::kNotServing:
      return "not serving";
    case Input::kStartFailed:
      return "start failed";
    case Input::kUnhealthy:
      return "unhealthy";
    case Input::kDrained:
      return "drained";
    case Input::kExited:
      return "exited";
    case Input::kEndedStopped:
      return "ended: stopped";
    case Input::kEndedRestart:
      return "ended: restart";
    case Input::kEndedBackoff:
      return "ended: backoff";
    case Input::kEndedQuarantined:
      return "ended: quarantined";
    case Input::kEndedFailed:
      return "ended: failed";
    case Input::kRetryDue:
      return "retry due";
  }
  return "unknown";
}

}  // namespace plugind::supervisor
