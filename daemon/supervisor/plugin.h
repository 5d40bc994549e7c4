// One plugin, live: its state, its process, and what comes next. All decisions about it are made
// here; the table of transitions is in state.h, when it restarts in restart_policy.h.
//
// Life of an instance: Admit → launch → keeper: OnSpawned → output: handshake line → client:
// connect → health: SERVING → READY … → keeper: OnExited → OnGone → what the policy says. Whatever
// changes is saved with the keeper before it takes effect outside, so a plugind that dies anywhere
// in between is replaced by one that goes on: see Adopt.
//
// Owned by Supervisor; on its loop only. The configuration is const and replaced as a whole.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/base/custody.h"
#include "daemon/base/event_loop.h"
#include "daemon/config/plugin_config.h"
#include "daemon/observe/event_log.h"
#include "daemon/observe/plugin_log.h"
#include "daemon/supervisor/handshake.h"
#include "daemon/supervisor/health_monitor.h"
#include "daemon/supervisor/launch.h"
#include "daemon/supervisor/negotiation.h"
#include "daemon/supervisor/plugin_client.h"
#include "daemon/supervisor/record.h"
#include "daemon/supervisor/status.h"
#include "daemon/supervisor/stop_ladder.h"

namespace plugind::supervisor {

// What all plugins share. Everything outlives them.
struct Surroundings {
  EventLoop& loop;
  Keeper& keeper;
  PluginClientFactory& clients;
  observe::EventLog& events;
  const Directories& directories;
  std::function<double()> random;  // in [0, 1), for jitter
  std::function<void()> changed;   // some plugin's state changed
  // What a plugin publishes about its settings, "" if nothing: kept for checks of its
  // configuration. FAILED_PRECONDITION: it is no usable schema, or the settings do not fit it.
  std::function<absl::Status(const config::PluginConfig& config, const std::string& schema)>
      learn_schema;
  // The socket by which a plugin's process reaches the host, before it is spawned; and its end.
  std::function<absl::Status(const std::string& plugin, const std::string& instance)> open_door;
  std::function<void(const std::string& instance)> close_door;
  // No new calls go to `instance`: OnDrained follows when none is left.
  std::function<void(const std::string& plugin, const std::string& instance)> drain;
};

class Plugin {
 public:
  using ConfigPtr = std::shared_ptr<const config::PluginConfig>;  // shared: a reload swaps it under
                                                                  // running callbacks

  Plugin(const Surroundings& around, ConfigPtr config, std::unique_ptr<observe::PluginLog> log);
  Plugin(const Plugin&) = delete;
  Plugin& operator=(const Plugin&) = delete;
  ~Plugin();

  const std::string& name() const { return config_->name; }
  const config::PluginConfig& config() const { return *config_; }
  State state() const { return record_.state; }
  const std::string& instance() const { return record_.instance; }
  bool wanted() const { return record_.wanted; }
  // WAITING for an automatic restart, which the budget may delay.
  bool automatic() const { return record_.automatic; }
  observe::PluginLog& log() { return *log_; }
  PluginStatus Status() const;
  // The last words on stderr of the process that ended last, whole lines, 64 KiB at most.
  const std::string& StderrTail() const;

  // Sets what is wanted. Becoming unwanted stops it; becoming wanted starts it, unless it is on its
  // way out, when it starts as soon as it is gone.
  void Want(bool wanted, const std::string& why);
  // An operator's start: clears backoff, quarantine and failure first.
  void StartAfresh(const std::string& why);
  // Stops the process, if there is one, and starts it again.
  void Replace(const std::string& why);
  // A new configuration for the same process, or for the next one.
  void TakeConfig(ConfigPtr config);
  // It rests only because of a `restart` setting, or settings of its own, that are no longer the
  // configured ones.
  bool RestsWithoutCause() const;
  // SIGKILL now, whatever the ladder says.
  void KillNow();

  // WAITING only: dependencies are READY and the budget has room.
  void Admit();
  // WAITING only: why it still waits. STOPPED only: why it stays so.
  void ExplainWait(const std::string& why);
  void ExplainStop(const std::string& why);
  WallTime waiting_since() const { return record_.state_since; }

  // The settings that an earlier process of it took, if they are known. Before Adopt.
  void RememberSettings(std::string settings) { accepted_settings_ = std::move(settings); }
  // A line of the plugin's own for operators.
  void SetStatusText(std::string_view text);

  // No call of the instance that is DRAINING is left.
  void OnDrained();
  // From the keeper, about this plugin's present instance.
  void OnSpawned(int pid, UniqueFd stdout_pipe, UniqueFd stderr_pipe);
  void OnSpawnFailed(SpawnStep step, int error);
  void OnExited(const ExitStatus& status, Instant at);
  void OnGone();
  void OnStuck(const std::vector<int>& remaining);

  // Goes on where a previous plugind stopped. `process`: the one that the keeper has for
  // record.instance, or null. Once, before anything else.
  void Adopt(Record record, InheritedProcess* process);

 private:
  void Handle(Input input, const std::string& reason);
  // Handle for a change of what is wanted, which is saved in any case.
  void Steer(Input input, const std::string& why);
  void Enter(State next, Input input, const std::string& reason);
  void Announce(State from, std::string_view type, const std::string& reason,
                Phase failed_at = Phase::kNone);
  void Save();
  void Explain(State expected, const std::string& why);

  void LaunchProcess();
  absl::StatusOr<Launch> Prepare();
  void AttachOutput(UniqueFd stdout_pipe, UniqueFd stderr_pipe);
  void PumpOutput(observe::Source stream);
  void DrainOutput();
  // With the last line that this process wrote to stderr, if there is one.
  std::string WithLastWords(std::string reason) const;
  void CloseOutput();
  bool TakeLine(std::string_view line, bool truncated);
  void ArmStartDeadline();
  void SetPhase(Phase phase);
  void ConnectClient();
  // Connected: its output over gRPC, if any, and what comes next.
  void Serve();
  // The plugin contract: plugin_contract.cc.
  void Negotiate();
  void OnAnswer(const HostOffer& offer, const absl::StatusOr<PluginAnswer>& answer);
  void HandOver(const std::string& settings);
  // Connects and negotiates anew, while there is time.
  void NegotiateAgain(const absl::Status& why);
  void OnConfigured(const std::string& settings,
                    const absl::StatusOr<std::vector<Violation>>& answer);
  void TakenOver(const std::string& settings);
  // Unless the plugin has the configured settings, or has refused them. One call at a time; what
  // changes meanwhile follows.
  void HandOverWhatIsNew();
  void ForgetRefusal();
  void ConcludeDrain();

  // What it serves, and its health from now on.
  void WarmUp();
  void LearnServices();
  void WatchOverHealth();
  void OnHealth(HealthVerdict verdict, const std::string& detail);
  // STARTING failed while the process lives; once it is gone the policy decides, or nothing if
  // `permanent`.
  void FailStart(const std::string& why, bool permanent);
  void FailService(const std::string& why);
  // The end that is being brought about is asked for, whatever its cause was until now.
  void MarkAsked(const std::string& why);

  void BeginStop(StopRung rung, const Instant* deadline);
  bool HasEnded() const;
  void ReleaseProcess();
  void AdoptNothing();
  // No process is left: the next state, by what was wanted, why it ended, and the policy.
  void Conclude(const std::string& how);
  void ConcludeFailure(const std::string& why);
  void ArmRetry();
  void ArmUnreadyLimit();
  void Drain();

  const Surroundings& around_;
  ConfigPtr config_;
  std::unique_ptr<observe::PluginLog> log_;
  Record record_;  // exactly what a successor would be told
  bool stuck_ = false;
  std::string contract_trouble_;   // why a start is not further than negotiate or configure
  bool configuring_ = false;       // Configure is under way
  bool unanswered_ = false;        // Configure is to be tried again
  std::string accepted_settings_;  // taken last, by whichever process; empty: none
  bool calls_drained_ = false;     // DRAINING only
  bool plugin_drained_ = false;
  mutable std::optional<std::string> stderr_tail_;  // read from the ring once: lists ask often
  Deadline start_deadline_;
  Deadline retry_;
  Deadline unready_;
  Deadline drain_;
  Deadline negotiate_again_;

  // Of the present process; order matters: the monitor and the ladder use the client.
  std::optional<PreambleLimit> preamble_;
  tls::ClientPtr tls_;
  std::unique_ptr<PluginClient> client_;
  std::unique_ptr<HealthMonitor> health_;
  std::unique_ptr<StopLadder> ladder_;
};

}  // namespace plugind::supervisor
