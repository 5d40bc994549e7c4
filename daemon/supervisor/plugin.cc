#include "daemon/supervisor/plugin.h"

#include <fmt/ranges.h>
#include <sys/epoll.h>

#include <algorithm>
#include <utility>

#include "daemon/base/failpoint.h"

namespace plugind::supervisor {
namespace {

constexpr size_t kMaxStderrTail = size_t{64} * 1024;

// What an event is called: the state entered, or what led there where that says more.
std::string_view EventType(State next, Input input) {
  switch (next) {
    case State::kStopped:
      return "stopped";
    case State::kWaiting:
      return "waiting";
    case State::kStarting:
      return "starting";
    case State::kReady:
      return "ready";
    case State::kUnready:
      return "unready";
    case State::kDraining:
      return "draining";
    case State::kStopping:
      if (input == Input::kExited) return "exited";
      if (input == Input::kStartFailed) return "start-failed";
      return input == Input::kUnhealthy ? "unhealthy" : "stopping";
    case State::kBackoff:
      return "backoff";
    case State::kQuarantined:
      return "quarantined";
    case State::kFailed:
      return "failed";
  }
  return "unknown";
}

}  // namespace

Plugin::Plugin(const Surroundings& around, ConfigPtr config,
               std::unique_ptr<observe::PluginLog> log)
    : around_(around),
      config_(std::move(config)),
      log_(std::move(log)),
      start_deadline_(around.loop.timers()),
      retry_(around.loop.timers()),
      unready_(around.loop.timers()) {
  record_.state_since = around_.loop.clock().WallNow();
  log_->SetStdoutTap(
      [this](std::string_view line, bool truncated) { return TakeLine(line, truncated); });
}

Plugin::~Plugin() { CloseOutput(); }

// ── What is wanted
// ───────────────────────────────────────────────────────────────────────────────────────────────────

void Plugin::Want(bool wanted, const std::string& why) {
  if (record_.wanted == wanted) return;
  record_.wanted = wanted;
  if (!wanted) MarkAsked(why);
  Steer(wanted ? Input::kStart : Input::kStop, why);
}

void Plugin::StartAfresh(const std::string& why) {
  record_.wanted = true;
  record_.automatic = false;
  record_.policy.Reset();
  // One that is on its way out, for whatever cause, starts again as soon as it is gone.
  if (state() == State::kDraining || state() == State::kStopping) MarkAsked(why);
  Steer(Input::kStart, why);
  around_.changed();
}

void Plugin::Replace(const std::string& why) {
  if (!HasProcess(state())) {
    if (wanted()) StartAfresh(why);
    return;
  }
  record_.policy.Reset();
  MarkAsked(why);
  Steer(Input::kStop, why);
}

void Plugin::TakeConfig(ConfigPtr config) {
  config_ = std::move(config);
  if (health_) health_->SetConfig(config_->health);
  around_.changed();
}

void Plugin::KillNow() {
  if (ladder_) ladder_->Kill();
}

void Plugin::MarkAsked(const std::string& why) {
  record_.end_cause = EndCause::kAsked;
  record_.end_reason = why;
}

// What is wanted and what comes of it go into one record: a successor that read the one without the
// other would take the request for carried out.
void Plugin::Steer(Input input, const std::string& why) {
  const bool moves = Transition(state(), input).verdict == Step::Verdict::kMove;
  Handle(input, why);
  if (!moves) Save();
}

// ── The state machine
// ────────────────────────────────────────────────────────────────────────────────────────────────

void Plugin::Handle(Input input, const std::string& reason) {
  const Step step = Transition(state(), input);
  switch (step.verdict) {
    case Step::Verdict::kStay:
      return;
    case Step::Verdict::kInvalid:
      log_->AppendNotice(observe::Level::kError,
                         fmt::format("defect: \"{}\" cannot happen while {}; ignored",
                                     ToString(input), ToString(state())));
      return;
    case Step::Verdict::kMove:
      Enter(step.next, input, reason);
      return;
  }
}

void Plugin::Enter(State next, Input input, const std::string& reason) {
  const State from = state();
  const Instant now = around_.loop.clock().Now();
  start_deadline_.Clear();
  retry_.Clear();
  unready_.Clear();
  record_.state = next;
  record_.state_since = around_.loop.clock().WallNow();
  record_.reason = reason;
  record_.phase = next == State::kStarting ? Phase::kSpawn : Phase::kNone;
  if (next == State::kReady && !record_.was_ready) {
    record_.was_ready = true;
    record_.ready_since = now;
    record_.ready_at = record_.state_since;
  }
  Save();
  Announce(from, EventType(next, input));
  around_.changed();

  switch (next) {
    case State::kStopped:
    case State::kWaiting:
    case State::kReady:
    case State::kFailed:
      return;
    case State::kStarting:
      LaunchProcess();
      return;
    case State::kUnready:
      ArmUnreadyLimit();
      return;
    case State::kDraining:
      // Calls reach a plugin at its own address so far: none is known here that could be waited
      // for.
      Handle(Input::kDrained, record_.reason);
      return;
    case State::kStopping:
      if (input == Input::kExited) return;  // the keeper is sweeping up
      BeginStop(record_.end_cause == EndCause::kAsked ? StopRung::kShutdown : StopRung::kTerminate,
                nullptr);
      return;
    case State::kBackoff:
    case State::kQuarantined:
      ArmRetry();
      return;
  }
}

void Plugin::Announce(State from, std::string_view type) {
  observe::Event event;
  event.plugin = name();
  event.from = static_cast<uint8_t>(from);
  event.to = static_cast<uint8_t>(state());
  event.type = type;
  event.reason = record_.reason;
  event.phase = ToString(record_.phase);
  event.instance = record_.instance;
  event.pid = record_.pid;
  event.restarts = record_.restarts;
  around_.events.Append(std::move(event));
}

void Plugin::Save() { around_.keeper.PutRecord(name(), record_.Encode()); }

void Plugin::ArmRetry() {
  retry_.Set(record_.retry_at, [this] { Handle(Input::kRetryDue, "its next try is due"); });
}

void Plugin::ArmUnreadyLimit() {
  const Duration limit = config_->health.unready_limit;
  if (limit == Duration::zero()) return;
  const Clock& clock = around_.loop.clock();
  const Duration passed = clock.WallNow() - record_.state_since;  // not zero for a successor
  unready_.Set(clock.Now() + limit - std::clamp(passed, Duration::zero(), limit),
               [this] { FailService("its health was NOT_SERVING for too long"); });
}

void Plugin::Admit() { Handle(Input::kAdmitted, record_.automatic ? "restarting" : "starting"); }

void Plugin::ExplainWait(const std::string& why) { Explain(State::kWaiting, why); }
void Plugin::ExplainStop(const std::string& why) { Explain(State::kStopped, why); }

void Plugin::Explain(State expected, const std::string& why) {
  if (state() != expected || record_.reason == why) return;
  record_.reason = why;
  Save();
}

// ── A start, phase by phase
// ──────────────────────────────────────────────────────────────────────────────────────────

void Plugin::LaunchProcess() {
  if (record_.ever_started) ++record_.restarts;
  record_.ever_started = true;
  record_.instance = NewInstanceId(around_.directories);
  record_.pid = 0;
  record_.fingerprint = ProcessFingerprint(*config_);
  record_.handshake.reset();
  record_.was_ready = false;
  record_.end_cause = EndCause::kNone;
  record_.end_reason.clear();
  record_.rung = StopRung::kNone;
  record_.start_deadline = around_.loop.clock().Now() + config_->start_timeout;
  preamble_.emplace();

  auto launch = PrepareLaunch(*config_, record_.instance, around_.directories);
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
    FailStart(fmt::format("not READY within {} s; it was at the phase \"{}\"", seconds,
                          ToString(record_.phase)),
              false);
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
  Announce(state(), "spawned");
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
    if (!preamble_->Allows(line, truncated, &error)) FailStart(error, false);
    return false;
  }
  const HandshakeTerms terms{config_->protocol_versions, config_->allow_tcp,
                             around_.directories.Instance(record_.instance)};
  auto handshake = ParseHandshake(line, terms, &error);
  if (!handshake) {
    FailStart(error, true);
    return false;  // its author finds the line among the log entries
  }
  Failpoint("handshake.read");
  record_.handshake = *std::move(handshake);
  SetPhase(Phase::kConnect);
  Failpoint("handshake.accepted");
  ConnectClient();
  return true;
}

void Plugin::ConnectClient() {
  const config::Health& health = config_->health;
  const Instant deadline = state() == State::kStarting
                               ? record_.start_deadline
                               : around_.loop.clock().Now() + health.timeout * health.failures;
  client_ =
      around_.clients.Make({name(), record_.instance, record_.pid,
                            around_.directories.Instance(record_.instance), *record_.handshake});
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
  // The plugin contract's phases, negotiate and configure, come in here.
  SetPhase(Phase::kWarmUp);
  health_ = std::make_unique<HealthMonitor>(
      around_.loop, *client_,
      [this](HealthVerdict verdict, const std::string& detail) { OnHealth(verdict, detail); });
  health_->Start(config_->health, state() == State::kStarting);
}

void Plugin::OnHealth(HealthVerdict verdict, const std::string& detail) {
  const std::string why = detail;  // a failure destroys the monitor that owns `detail`
  switch (verdict) {
    case HealthVerdict::kServing:
      Handle(Input::kServing, "");
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

// ── The end of a process
// ─────────────────────────────────────────────────────────────────────────────────────────────

void Plugin::BeginStop(StopRung rung, const Instant* deadline) {
  health_.reset();
  ladder_ =
      std::make_unique<StopLadder>(around_.loop, around_.keeper, record_.instance, config_->stop,
                                   client_.get(), [this](StopRung reached, Instant until) {
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
  ladder_.reset();
  health_.reset();
  client_.reset();
  std::string reason = ToString(status);
  if (state() == State::kStarting) {
    reason = fmt::format("ended at the phase \"{}\": {}", ToString(record_.phase), reason);
    const std::string last_words = log_->LastStderrLine(record_.instance);
    if (!last_words.empty()) reason += fmt::format("; its last words: {}", last_words);
  }
  if (record_.end_cause == EndCause::kNone) record_.end_reason = reason;
  Save();
  Failpoint("exit.recorded");
  Handle(Input::kExited, reason);
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
  Announce(state(), "stuck");
  around_.changed();
}

void Plugin::ReleaseProcess() {
  ladder_.reset();
  health_.reset();
  client_.reset();
  CloseOutput();
  RemoveInstanceDirectory(around_.directories, record_.instance);
  record_.instance.clear();
  record_.pid = 0;
  record_.handshake.reset();
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

// ── Output
// ───────────────────────────────────────────────────────────────────────────────────────────────────────────

void Plugin::AttachOutput(UniqueFd stdout_pipe, UniqueFd stderr_pipe) {
  log_->Attach(record_.instance, std::move(stdout_pipe), std::move(stderr_pipe));
  for (const auto stream : {observe::Source::kStdout, observe::Source::kStderr}) {
    const int fd = log_->fd(stream);
    if (fd >= 0) around_.loop.Watch(fd, EPOLLIN, [this, stream](uint32_t) { PumpOutput(stream); });
  }
  // A predecessor may have taken bytes off the pipes and died before it made lines of them.
  PumpOutput(observe::Source::kStdout);
  PumpOutput(observe::Source::kStderr);
}

void Plugin::PumpOutput(observe::Source stream) {
  if (log_->fd(stream) < 0 || log_->Pump(stream) != observe::PluginLog::Pumped::kClosed) return;
  around_.loop.Unwatch(log_->fd(stream));
  log_->Close(stream);
  if (stream == observe::Source::kStdout && state() == State::kStarting && !record_.handshake) {
    // Usually its death, which the keeper is about to report. If not, nothing will ever come.
    start_deadline_.Set(around_.loop.clock().Now() + std::chrono::milliseconds(250),
                        [this] { FailStart("it closed its stdout before the handshake", false); });
  }
}

void Plugin::DrainOutput() {
  constexpr int kRounds =
      64;  // of 64 KiB: more than the pipes hold, and a bound on a descendant that goes on writing
  for (const auto stream : {observe::Source::kStdout, observe::Source::kStderr}) {
    for (int i = 0; i < kRounds && log_->fd(stream) >= 0; ++i) {
      if (log_->Pump(stream) != observe::PluginLog::Pumped::kMore) break;
    }
  }
}

void Plugin::CloseOutput() {
  for (const auto stream : {observe::Source::kStdout, observe::Source::kStderr}) {
    if (log_->fd(stream) >= 0) around_.loop.Unwatch(log_->fd(stream));
  }
  log_->Detach();
}

// ── A successor of plugind
// ───────────────────────────────────────────────────────────────────────────────────────────

void Plugin::Adopt(Record record, InheritedProcess* process) {
  record_ = std::move(record);
  if (!HasProcess(state())) {
    if (state() == State::kBackoff || state() == State::kQuarantined) ArmRetry();
    return;
  }
  if (process == nullptr) return AdoptNothing();

  record_.pid = process->pid;
  preamble_.emplace();
  AttachOutput(std::move(process->stdout_pipe), std::move(process->stderr_pipe));
  if (process->exited) {
    if (!HasEnded()) {
      OnExited(*process->exited, process->exited_at);
    } else {
      Handle(Input::kExited, ToString(*process->exited));  // recorded, but not acted on
    }
    if (process->gone) OnGone();
    return;
  }
  Announce(state(), "adopted");
  switch (state()) {
    case State::kStarting:
      if (record_.phase == Phase::kSpawn) SetPhase(Phase::kHandshake);
      ArmStartDeadline();
      [[fallthrough]];
    case State::kReady:
    case State::kUnready:
      if (state() == State::kUnready) ArmUnreadyLimit();
      if (record_.handshake && !client_) ConnectClient();
      if (record_.fingerprint != ProcessFingerprint(*config_))
        Replace("its configuration has changed");
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

const std::string& Plugin::StderrTail() const {
  if (!stderr_tail_) {
    stderr_tail_ =
        record_.last_exit ? log_->StderrTail(record_.last_exit->instance, kMaxStderrTail) : "";
  }
  return *stderr_tail_;
}

PluginStatus Plugin::Status() const {
  const Clock& clock = around_.loop.clock();
  PluginStatus status;
  status.name = name();
  status.state = state();
  status.phase = record_.phase;
  status.pid = record_.pid;
  status.instance = record_.instance;
  status.restarts = record_.restarts;
  if (record_.handshake) {
    status.protocol_version = record_.handshake->protocol_version;
    status.direct_address = record_.handshake->network == Network::kUnix
                                ? "unix:" + record_.handshake->address
                                : record_.handshake->address;
  }
  status.state_changed_at = record_.state_since;
  status.reason = record_.reason;
  status.last_exit = record_.last_exit;
  status.enabled = config_->enabled;
  status.wanted = wanted();
  if (state() == State::kBackoff || state() == State::kQuarantined) {
    status.next_start_at = clock.WallNow() + (record_.retry_at - clock.Now());
  }
  status.stuck = stuck_;
  status.recent_failures = record_.policy.RecentFailures(config_->quarantine, clock.Now());
  status.config_file = config_->file;
  if (record_.was_ready && !record_.instance.empty()) status.ready_at = record_.ready_at;
  status.log_bytes_dropped = log_->dropped_bytes();
  status.after = config_->after;
  return status;
}

}  // namespace plugind::supervisor
