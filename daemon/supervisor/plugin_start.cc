// Plugin: a start, phase by phase, until it is READY; and its health from then on.
#include <utility>

#include "daemon/base/failpoint.h"
#include "daemon/supervisor/plugin.h"

namespace plugind::supervisor {

void Plugin::LaunchProcess() {
  if (record_.ever_started) ++record_.restarts;
  record_.ever_started = true;
  record_.instance = NewInstanceId(around_.directories);
  record_.pid = 0;
  record_.fingerprint = ProcessFingerprint(*config_);
  record_.handshake.reset();
  record_.identity.reset();
  record_.was_ready = false;
  record_.end_cause = EndCause::kNone;
  record_.end_reason.clear();
  record_.rung = StopRung::kNone;
  record_.start_deadline = around_.loop.clock().Now() + config_->start_timeout;
  preamble_.emplace();
  contract_trouble_.clear();
  log_->SetStructured(true);

  auto launch = Prepare();
  if (launch.ok()) {
    if (const absl::Status door = around_.open_door(name(), record_.instance); !door.ok()) {
      launch = door;
    }
  }
  if (!launch.ok()) {
    const bool permanent =
        absl::IsNotFound(launch.status()) || absl::IsFailedPrecondition(launch.status());
    record_.end_cause = permanent ? EndCause::kPermanent : EndCause::kFailure;
    record_.end_reason = Message(launch.status());
    ReleaseProcess();
    Conclude(record_.end_reason);
    return;
  }
  Save();
  Failpoint("spawn.before");
  around_.keeper.Spawn(launch->spec, launch->executable);
  Failpoint("spawn.after");
  ArmStartDeadline();
}

void Plugin::ArmStartDeadline() {
  start_deadline_.Set(record_.start_deadline, [this] {
    const auto seconds = std::chrono::duration<double>(config_->start_timeout).count();
    std::string why = fmt::format("not READY within {} s; it was at the phase \"{}\"", seconds,
                                  ToString(record_.phase));
    if (!contract_trouble_.empty()) why += fmt::format("; {}", contract_trouble_);
    if (health_ && !health_->last_failure().empty()) {
      why += fmt::format("; its health: {}", health_->last_failure());
    }
    FailStart(why, false);
  });
}

void Plugin::SetPhase(Phase phase) {
  if (state() != State::kStarting) return;
  record_.phase = phase;
  Save();
  around_.changed();
}

void Plugin::OnSpawned(int pid, UniqueFd stdout_pipe, UniqueFd stderr_pipe) {
  record_.pid = pid;
  record_.phase = state() == State::kStarting ? Phase::kHandshake : Phase::kNone;
  Save();
  Failpoint("spawn.recorded");
  Announce(state(), "spawned", record_.reason);
  AttachOutput(std::move(stdout_pipe), std::move(stderr_pipe));
}

void Plugin::OnSpawnFailed(SpawnStep step, int error) {
  const SpawnFailure failure = DiagnoseSpawnFailure(*config_, step, error);
  record_.end_cause = failure.permanent ? EndCause::kPermanent : EndCause::kFailure;
  record_.end_reason = failure.reason;
  ReleaseProcess();
  Conclude(failure.reason);
}

bool Plugin::TakeLine(std::string_view line, bool truncated) {
  if (state() != State::kStarting || record_.handshake || !preamble_) return false;
  std::string error;
  if (truncated || !LooksLikeHandshake(line)) {
    if (!preamble_->Allows(line, truncated, &error)) {
      FailStart(WithLastWords(error), false);
    }
    return false;
  }
  const HandshakeTerms terms{config_->protocol_versions, config_->allow_tcp,
                             around_.directories.Instance(record_.instance),
                             record_.identity.has_value()};
  auto handshake = ParseHandshake(line, terms, &error);
  if (!handshake) {
    FailStart(WithLastWords(error), true);
    return false;  // its author finds the line among the log entries
  }
  Failpoint("handshake.read");
  record_.handshake = *std::move(handshake);
  SetPhase(Phase::kConnect);
  Failpoint("handshake.accepted");
  ConnectClient();
  return true;
}

absl::StatusOr<Launch> Plugin::Prepare() {
  if (config_->auto_mtls) {
    std::string error;
    record_.identity = tls::MakeIdentity(around_.loop.clock().WallNow(), &error);
    if (!record_.identity) return absl::UnavailableError(error);
  }
  return PrepareLaunch(*config_, record_.instance, around_.directories,
                       record_.identity ? record_.identity->certificate : "");
}

void Plugin::ConnectClient() {
  if (record_.identity && tls_ == nullptr) {
    std::string error;
    tls_ = tls::Client::Make(*record_.identity, record_.handshake->certificate, &error);
    if (tls_ == nullptr) {
      return state() == State::kStarting ? FailStart(error, true) : FailService(error);
    }
  }
  const config::Health& health = config_->health;
  const Instant deadline = state() == State::kStarting
                               ? record_.start_deadline
                               : around_.loop.clock().Now() + health.timeout * health.failures;
  client_ = around_.clients.Make({name(), record_.instance, record_.pid,
                                  around_.directories.Instance(record_.instance),
                                  *record_.handshake, tls_});
  client_->Connect(deadline, [this](const absl::Status& status) {
    if (status.ok()) {
      Serve();
    } else if (state() == State::kStarting) {
      FailStart(std::string(Message(status)), absl::IsFailedPrecondition(status));
    } else {
      FailService(std::string(Message(status)));
    }
  });
}

void Plugin::Serve() {
  if (HasEnded()) return;
  client_->StreamOutput([this](bool is_stderr, std::string_view bytes) {
    log_->AppendOutput(is_stderr ? observe::Source::kStderr : observe::Source::kStdout, bytes);
  });
  if (state() == State::kStarting) return Negotiate();
  // Adopted: it has been through all that. Its settings may have changed while no plugind was
  // there.
  WatchOverHealth();
  HandOverWhatIsNew();
}

void Plugin::WarmUp() {
  SetPhase(Phase::kWarmUp);
  // Before it is READY, so that whoever sees that can call them.
  if (record_.services.empty()) {
    LearnServices();
  } else {
    WatchOverHealth();
  }
}

void Plugin::LearnServices() {
  client_->ListServices(config_->health.timeout,
                        [this](absl::StatusOr<std::vector<std::string>> services) {
                          if (HasEnded()) return;
                          // Without reflection it is reached by its name alone.
                          if (services.ok()) record_.services = *std::move(services);
                          Save();
                          WatchOverHealth();
                        });
}

void Plugin::WatchOverHealth() {
  health_ = std::make_unique<HealthMonitor>(
      around_.loop, *client_, config_->name,
      [this](HealthVerdict verdict, const std::string& detail) { OnHealth(verdict, detail); });
  health_->Start(config_->health, state() == State::kStarting);
}

void Plugin::OnHealth(HealthVerdict verdict, const std::string& detail) {
  const std::string why = detail;  // a failure destroys the monitor that owns `detail`
  switch (verdict) {
    case HealthVerdict::kServing:
      Handle(Input::kServing, "");
      if (unanswered_) HandOverWhatIsNew();
      return;
    case HealthVerdict::kNotServing:
      Handle(Input::kNotServing, "its health says NOT_SERVING");
      return;
    case HealthVerdict::kUnhealthy:
    case HealthVerdict::kUnsupported:
      if (state() == State::kStarting) {
        FailStart(why, verdict == HealthVerdict::kUnsupported);
      } else {
        FailService(why);
      }
      return;
  }
}

void Plugin::FailStart(const std::string& why, bool permanent) {
  if (state() != State::kStarting) return;
  record_.end_cause = permanent ? EndCause::kPermanent : EndCause::kFailure;
  record_.end_reason = why;
  Handle(Input::kStartFailed, why);
}

void Plugin::FailService(const std::string& why) {
  if (record_.end_cause == EndCause::kNone) {
    record_.end_cause = EndCause::kFailure;
    record_.end_reason = why;
  }
  Handle(Input::kUnhealthy, why);
}

}  // namespace plugind::supervisor
