// Plugin: going on where a plugind that was killed has stopped.
#include <utility>

#include "daemon/supervisor/plugin.h"

namespace plugind::supervisor {

void Plugin::Adopt(Record record, InheritedProcess* process) {
  record_ = std::move(record);
  const bool changed = record_.fingerprint != ProcessFingerprint(*config_);
  if (!HasProcess(state())) {
    const bool retries = state() == State::kBackoff || state() == State::kQuarantined;
    if (retries) ArmRetry();
    if (changed && (retries || state() == State::kFailed)) Replace("its configuration has changed");
    return;
  }
  if (process == nullptr) return AdoptNothing();

  record_.pid = process->pid;
  preamble_.emplace();
  log_->SetStructured(record_.terms.Allows(kLogStructured));
  AttachOutput(std::move(process->stdout_pipe), std::move(process->stderr_pipe));
  if (process->exited) {
    if (!HasEnded()) OnExited(*process->exited, process->exited_at);
    if (process->gone) OnGone();
    return;
  }
  Announce(state(), "adopted", record_.reason);
  switch (state()) {
    case State::kStarting:
      if (record_.phase == Phase::kSpawn) SetPhase(Phase::kHandshake);
      ArmStartDeadline();
      [[fallthrough]];
    case State::kReady:
    case State::kUnready:
      if (state() == State::kUnready) ArmUnreadyLimit();
      if (record_.handshake && !client_) ConnectClient();
      if (changed) Replace("its configuration has changed");
      return;
    case State::kDraining:
      Handle(Input::kDrained, record_.reason);
      return;
    case State::kStopping:
      BeginStop(record_.rung == StopRung::kNone ? StopRung::kTerminate : record_.rung,
                record_.rung == StopRung::kNone ? nullptr : &record_.rung_deadline);
      return;
    case State::kStopped:
    case State::kWaiting:
    case State::kBackoff:
    case State::kQuarantined:
    case State::kFailed:
      return;
  }
}

// The record speaks of a process that the keeper does not have: its spawn was never sent, or failed
// unheard. It counts as not tried.
void Plugin::AdoptNothing() {
  if (!record_.instance.empty()) {
    if (record_.restarts > 0) {
      --record_.restarts;
    } else {
      record_.ever_started = false;
    }
  }
  record_.end_cause = EndCause::kAsked;
  ReleaseProcess();
  Conclude("its start was interrupted");
}

}  // namespace plugind::supervisor
