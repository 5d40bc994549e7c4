#include "daemon/supervisor/plugin.h"

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
      unready_(around.loop.timers()),
      drain_(around.loop.timers()),
      negotiate_again_(around.loop.timers()) {
  record_.state_since = around_.loop.clock().WallNow();
  log_->SetStdoutTap(
      [this](std::string_view line, bool truncated) { return TakeLine(line, truncated); });
}

Plugin::~Plugin() { CloseOutput(); }

// ── What is wanted

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
  ForgetRefusal();
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
  ForgetRefusal();
  MarkAsked(why);
  Steer(Input::kStop, why);
}

void Plugin::TakeConfig(ConfigPtr config) {
  config_ = std::move(config);
  if (health_) health_->SetConfig(config_->health);
  HandOverWhatIsNew();
  around_.changed();
}

void Plugin::KillNow() {
  if (state() == State::kDraining) Handle(Input::kDrained, record_.reason);
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
  drain_.Clear();
  negotiate_again_.Clear();
  record_.state = next;
  record_.state_since = around_.loop.clock().WallNow();
  record_.reason = reason;
  // An event of a start that fails says how far it had come.
  const Phase failed_at = next == State::kReady ? Phase::kNone : record_.phase;
  record_.phase = next == State::kStarting ? Phase::kSpawn : Phase::kNone;
  if (next == State::kReady && !record_.was_ready) {
    record_.was_ready = true;
    record_.ready_since = now;
    record_.ready_at = record_.state_since;
  }
  Save();
  Announce(from, EventType(next, input), record_.reason, failed_at);
  around_.changed();

  switch (next) {
    case State::kStopped:
    case State::kWaiting:
    case State::kFailed:
      return;
    case State::kReady:
      HandOverWhatIsNew();
      return;
    case State::kStarting:
      LaunchProcess();
      return;
    case State::kUnready:
      ArmUnreadyLimit();
      return;
    case State::kDraining:
      Drain();
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

void Plugin::Announce(State from, std::string_view type, const std::string& reason,
                      Phase failed_at) {
  observe::Event event;
  event.plugin = name();
  event.from = static_cast<uint8_t>(from);
  event.to = static_cast<uint8_t>(state());
  event.type = type;
  event.reason = reason;
  event.phase = ToString(record_.phase == Phase::kNone ? failed_at : record_.phase);
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

// ── What others may see

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
  status.handshake = record_.handshake;
  status.tls = tls_;
  status.services = record_.services;
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
  const Terms& terms = record_.terms;
  status.contract = terms.served;
  status.version = terms.version;
  status.sdk = terms.sdk;
  status.capabilities = terms.capabilities;
  status.status_text = terms.status_text;
  if (terms.takes_settings) {
    status.settings.emplace();
    status.settings->generation = terms.generation;
    status.settings->accepted_at = terms.settings_at;
    status.settings->pending = configuring_ || unanswered_;
    status.settings->refused = record_.refusal;
  }
  return status;
}

}  // namespace plugind::supervisor
