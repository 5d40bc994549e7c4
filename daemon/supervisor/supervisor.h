// All plugins together: who may start now, what a new configuration changes, what operators ask,
// and the orderly end. Each plugin decides for itself what becomes of it (plugin.h); this class
// knows what takes more than one to decide.
//
// Owned by main; on its loop only, which is the only thread that touches any plugin.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/base/custody.h"
#include "daemon/base/event_loop.h"
#include "daemon/base/status.h"
#include "daemon/config/diff.h"
#include "daemon/config/plugin_config.h"
#include "daemon/observe/event_log.h"
#include "daemon/observe/plugin_log.h"
#include "daemon/supervisor/launch.h"
#include "daemon/supervisor/operator_state.h"
#include "daemon/supervisor/plugin.h"
#include "daemon/supervisor/plugin_client.h"
#include "daemon/supervisor/restart_budget.h"
#include "daemon/supervisor/status.h"

namespace plugind::supervisor {

class Supervisor final : public KeeperObserver {
 public:
  struct Parts {
    EventLoop& loop;
    Keeper& keeper;
    PluginClientFactory& clients;
    observe::EventLog& events;
    OperatorState& decisions;
    Directories directories;  // exist
    // See Surroundings.
    std::function<absl::Status(const config::PluginConfig& config, const std::string& schema)>
        learn_schema;
    std::function<absl::Status(const std::string& plugin, const std::string& instance)> open_door;
    std::function<void(const std::string& instance)> close_door;
    std::function<void(const std::string& plugin, const std::string& instance)> drain;
    std::function<double()> random;  // in [0, 1)
    std::function<void()> output;    // some plugin's log has new entries
    // Something went wrong that concerns no one plugin's state, for the daemon's log.
    std::function<void(const std::string&)> report;
  };
  explicit Supervisor(Parts parts);
  ~Supervisor() override;

  // Takes over what an earlier plugind left and starts what is wanted. Once.
  void Start(config::Config config, Inheritance inheritance);
  // Touches only what differs: added started, removed stopped, changed restarted, the rest left
  // alone.
  config::Diff Apply(config::Config config);
  const config::Config& config() const { return config_; }

  std::vector<PluginStatus> List() const;  // in order of name
  void CountStates(const std::function<void(State)>& each) const;
  // NOT_FOUND unless it is configured.
  absl::StatusOr<PluginStatus> Get(const std::string& name) const;
  // Null when there is none of that name. Valid until the loop's next round.
  observe::PluginLog* Log(const std::string& name) const;

  // See Plugin::StderrTail; empty when there is no plugin of that name.
  std::string_view StderrTail(const std::string& name) const;

  // Operators' verbs. Durable when they return OK; what comes of them is told by events. NOT_FOUND,
  // FAILED_PRECONDITION (disabled), or the reason why the decision could not be stored: then
  // nothing has changed, or, where the message says so, it was done and only a power failure would
  // undo it.
  absl::Status StartPlugin(const std::string& name);
  absl::Status StopPlugin(const std::string& name);
  absl::Status RestartPlugin(const std::string& name);
  absl::Status EnablePlugin(const std::string& name);
  absl::Status DisablePlugin(const std::string& name);

  // Stops everything, dependents before what they depend on; `done` runs when no process is left.
  // Operators' decisions stay as they are.
  void Shutdown(std::function<void()> done);
  // During Shutdown: SIGKILL to what is left.
  void Hasten();
  bool stopping() const { return stopping_; }

  // A line of the plugin's own, shown to operators until its process ends.
  void SetStatusText(const std::string& name, std::string_view text);

  // The last call of an instance that is DRAINING has ended.
  void OnDrained(const std::string& instance);

  // KeeperObserver.
  void OnSpawned(std::string_view id, int pid, UniqueFd stdout_pipe, UniqueFd stderr_pipe) override;
  void OnSpawnFailed(std::string_view id, SpawnStep step, int error) override;
  void OnExited(std::string_view id, const ExitStatus& status, Instant at) override;
  void OnGone(std::string_view id) override;
  void OnStuck(std::string_view id, const std::vector<int>& remaining) override;
  void OnKeeperLost() override;

 private:
  Plugin* Find(const std::string& name) const;
  Plugin* FindInstance(std::string_view id) const;
  absl::StatusOr<Plugin*> Require(const std::string& name) const;
  PluginStatus StatusOf(const Plugin& plugin) const;
  // Keeps the decision, and once it stands in the file carries it out: a successor would.
  absl::Status Decide(Plugin& plugin, const Decision& decision,
                      const std::function<void()>& carry_out);

  Plugin& Create(const config::PluginConfig& config, UniqueFd log_memory);
  bool Enabled(const Plugin& plugin) const;
  bool Allowed(const Plugin& plugin) const;
  void Reconcile(Plugin& plugin, const std::string& why);
  void SweepRuntimeDirectory();

  // Looks at every plugin that waits, at the shutdown's progress, and at what was removed; soon,
  // and once for many changes.
  void ScheduleReview();
  void Review();
  void AdmitWaiting();
  std::string UnmetDependency(const Plugin& plugin) const;
  void ContinueShutdown();
  void DropRemoved();
  void AnnounceRemoval(const std::string& name);

  Parts parts_;
  Surroundings around_;
  config::Config config_;
  RestartBudget budget_;
  Deadline budget_refill_;
  std::map<std::string, std::unique_ptr<Plugin>> plugins_;
  std::set<std::string> removed_;  // no longer configured, on their way out
  // Inherited processes that no record speaks of, by instance: being killed. A plugin of that name
  // waits for their end.
  std::map<std::string, std::string> strays_;
  std::function<void()> stopped_;
  bool stopping_ = false;
  bool hasty_ = false;
  bool review_scheduled_ = false;
};

}  // namespace plugind::supervisor
