// Plugin: the end of a process, and what follows from it.
#include <fmt/ranges.h>

#include "daemon/base/failpoint.h"
#include "daemon/supervisor/kept_settings.h"
#include "daemon/supervisor/plugin.h"

namespace plugind::supervisor {

void Plugin::BeginStop(StopRung rung, const Instant* deadline) {
  health_.reset();
  ladder_ = std::make_unique<StopLadder>(
      around_.loop, around_.keeper, record_.instance, config_->stop, client_.get(),
      record_.terms.served ? ShutdownBy::kContract : ShutdownBy::kGoPlugin,
      [this](StopRung reached, Instant until) {
        record_.rung = reached;
        record_.rung_deadline = until;
        Save();
      });
  ladder_->Begin(rung, deadline);
}

bool Plugin::HasEnded() const {
  return record_.last_exit && record_.last_exit->instance == record_.instance;
}

void Plugin::OnExited(const ExitStatus& status, Instant at) {
  const Clock& clock = around_.loop.clock();
  DrainOutput();
  record_.last_exit =
      LastExit{status, clock.WallNow() - (clock.Now() - at), record_.instance, record_.pid};
  stderr_tail_.reset();
  std::string reason = ToString(status);
  if (state() == State::kStarting) {
    reason = WithLastWords(
        fmt::format("ended at the phase \"{}\": {}", ToString(record_.phase), reason));
  }
  if (record_.end_cause == EndCause::kNone) record_.end_reason = reason;
  configuring_ = false;
  unanswered_ = false;
  Steer(Input::kExited, reason);
  Failpoint("exit.recorded");
  // Whoever watches is told first: these take longer.
  around_.keeper.KillTree(record_.instance);
  ladder_.reset();
  health_.reset();
  client_.reset();
}

void Plugin::OnGone() {
  const std::string ended = record_.instance;
  const std::string how = record_.last_exit ? ToString(record_.last_exit->status) : "it is gone";
  ReleaseProcess();
  Failpoint("exit.before-conclusion");
  Conclude(how);
  Failpoint("exit.before-forget");
  around_.keeper.Forget(ended);
}

void Plugin::OnStuck(const std::vector<int>& remaining) {
  stuck_ = true;
  record_.reason = fmt::format(
      "stuck: SIGKILL did not end {} of its processes (pid {}); no second copy is started",
      remaining.size(), fmt::join(remaining, ", "));
  Save();
  Announce(state(), "stuck", record_.reason);
  around_.changed();
}

void Plugin::ReleaseProcess() {
  ladder_.reset();
  health_.reset();
  client_.reset();
  tls_.reset();
  CloseOutput();
  around_.close_door(record_.instance);
  RemoveInstanceDirectory(around_.directories, record_.instance);
  record_.instance.clear();
  record_.pid = 0;
  record_.identity.reset();
  record_.handshake.reset();
  record_.services.clear();
  record_.terms = {};
  configuring_ = false;
  unanswered_ = false;
  record_.rung = StopRung::kNone;
  stuck_ = false;
}

void Plugin::Conclude(const std::string& how) {
  const std::string why = record_.end_reason.empty() ? how : record_.end_reason;
  record_.automatic = false;
  if (!wanted()) return Handle(Input::kEndedStopped, why);
  switch (record_.end_cause) {
    case EndCause::kAsked:
      return Handle(Input::kEndedRestart, "restarting");
    case EndCause::kPermanent:
      return Handle(Input::kEndedFailed, why);
    case EndCause::kFailure:
      return ConcludeFailure(why);
    case EndCause::kNone:
      break;
  }
  const bool clean =
      record_.was_ready && record_.last_exit && record_.last_exit->status == ExitStatus{};
  if (clean && config_->restart != config::Restart::kAlways) {
    return Handle(Input::kEndedStopped, "finished: exit code 0");
  }
  ConcludeFailure(why);
}

bool Plugin::RestsWithoutCause() const {
  if (state() == State::kFailed && record_.refused_settings != 0 &&
      record_.refused_settings != SettingsFingerprint(config_->settings)) {
    return true;
  }
  switch (config_->restart) {
    case config::Restart::kNever:
      return false;
    case config::Restart::kAlways:
      // Wanted and STOPPED is what has finished.
      if (state() == State::kStopped && wanted()) return true;
      break;
    case config::Restart::kOnFailure:
      break;
  }
  return state() == State::kFailed && record_.end_cause != EndCause::kPermanent;
}

void Plugin::ConcludeFailure(const std::string& why) {
  if (config_->restart == config::Restart::kNever) {
    return Handle(Input::kEndedFailed, why + "; restart = \"never\"");
  }
  const Instant now = around_.loop.clock().Now();
  const Duration ready_for = record_.was_ready ? now - record_.ready_since : Duration::zero();
  const auto verdict = record_.policy.OnFailure(config_->backoff, config_->quarantine, now,
                                                ready_for, around_.random());
  record_.automatic = true;
  record_.retry_at = now + verdict.delay;
  switch (verdict.kind) {
    case RestartPolicy::Verdict::Kind::kNow:
      return Handle(Input::kEndedRestart, why);
    case RestartPolicy::Verdict::Kind::kBackoff:
      return Handle(Input::kEndedBackoff, why);
    case RestartPolicy::Verdict::Kind::kQuarantine:
      return Handle(Input::kEndedQuarantined, "crash loop: " + why);
  }
}

}  // namespace plugind::supervisor
