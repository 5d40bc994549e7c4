#include "daemon/supervisor/supervisor.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <system_error>
#include <utility>

#include "daemon/base/failpoint.h"
#include "daemon/supervisor/kept_settings.h"
#include "daemon/supervisor/reason.h"

namespace plugind::supervisor {
namespace {

constexpr char kLogFdPrefix[] = "log:";

std::string LogFdName(const std::string& plugin) { return kLogFdPrefix + plugin; }

bool IsRunning(const Plugin& plugin) { return HasProcess(plugin.state()); }

}  // namespace

Supervisor::Supervisor(Parts parts)
    : parts_(std::move(parts)),
      around_{parts_.loop,
              parts_.keeper,
              parts_.clients,
              parts_.events,
              parts_.directories,
              parts_.random,
              [this] { ScheduleReview(); },
              parts_.learn_schema,
              parts_.open_door,
              parts_.close_door,
              parts_.drain},
      budget_refill_(parts_.loop.timers()) {}

Supervisor::~Supervisor() = default;

// ── Taking over, and new configurations

void Supervisor::Start(config::Config config, Inheritance inheritance) {
  config_ = std::move(config);
  budget_.SetRate(config_.daemon.restarts_per_second);
  std::map<std::string, InheritedProcess*> by_instance;
  for (auto& process : inheritance.processes) by_instance[process.id] = &process;

  for (const auto& [name, plugin_config] : config_.plugins) {
    auto memory = inheritance.fds.extract(LogFdName(name));
    Plugin& plugin = Create(plugin_config, memory ? std::move(memory.mapped()) : UniqueFd());
    if (const auto settings = inheritance.fds.extract(SettingsFdName(name))) {
      plugin.RememberSettings(ReadKeptSettings(settings.mapped()));
    }
    const auto bytes = inheritance.records.extract(name);
    std::optional<Record> record;
    if (bytes) record = Record::Decode(bytes.mapped());
    if (bytes && !record)
      parts_.report(fmt::format("plugin {}: the record left for it does not parse", name));
    if (!record) continue;
    const auto process =
        record->instance.empty() ? by_instance.end() : by_instance.find(record->instance);
    InheritedProcess* const owned = process == by_instance.end() ? nullptr : process->second;
    if (owned != nullptr) by_instance.erase(process);
    plugin.Adopt(*std::move(record), owned);
  }
  // What nothing owns any more: processes of plugins that are no longer configured, or already
  // concluded.
  for (const auto& [id, process] : by_instance) {
    if (process->gone) {
      parts_.keeper.Forget(id);
    } else {
      strays_.emplace(id, process->plugin);
      parts_.keeper.KillTree(id);
    }
  }
  for (const auto& [name, bytes] : inheritance.records) parts_.keeper.DropRecord(name);
  for (const auto& [name, fd] : inheritance.fds) {
    if (name.starts_with(kLogFdPrefix) || name.starts_with(kSettingsFdPrefix)) {
      parts_.keeper.DropFd(name);
    }
  }
  SweepRuntimeDirectory();
  // Killed in the middle of an orderly stop: Shutdown() follows, and nothing is started for it.
  stopping_ = inheritance.stopping;
  if (!stopping_) {
    for (const auto& [name, plugin] : plugins_) Reconcile(*plugin, "the daemon has started");
  }
  ScheduleReview();
}

Plugin& Supervisor::Create(const config::PluginConfig& config, UniqueFd log_memory) {
  absl::StatusOr<std::unique_ptr<observe::PluginLog>> log = absl::NotFoundError("");
  if (log_memory.valid()) {
    log = observe::PluginLog::Reopen(config.name, std::move(log_memory), parts_.loop.clock());
    if (!log.ok())
      parts_.report(
          fmt::format("plugin {}: its log is lost: {}", config.name, Message(log.status())));
  }
  if (!log.ok()) {
    log = observe::PluginLog::Create(config.name, config_.daemon.log_buffer, parts_.loop.clock());
    // Without memory for a few pages nothing else works either; the keeper starts a new plugind.
    if (!log.ok()) {
      parts_.report(
          fmt::format("plugin {}: no memory for its log: {}", config.name, Message(log.status())));
      std::abort();
    }
    parts_.keeper.KeepFd(LogFdName(config.name), (*log)->memory());
  }
  (*log)->OnAppended(parts_.output);
  auto& slot = plugins_[config.name];
  slot = std::make_unique<Plugin>(around_, std::make_shared<const config::PluginConfig>(config),
                                  *std::move(log));
  return *slot;
}

config::Diff Supervisor::Apply(config::Config config) {
  const config::Diff diff = config::Compare(config_, config);
  config_ = std::move(config);
  budget_.SetRate(config_.daemon.restarts_per_second);
  const auto take = [&](const std::string& name) -> Plugin& {
    Plugin& plugin = *plugins_.at(name);
    plugin.TakeConfig(std::make_shared<const config::PluginConfig>(config_.plugins.at(name)));
    return plugin;
  };
  for (const auto& name : diff.removed) {
    removed_.insert(name);
    plugins_.at(name)->Want(false, "removed from the configuration");
  }
  for (const auto& name : diff.changed) {
    Plugin& plugin = take(name);
    if (Allowed(plugin)) plugin.Replace("its configuration has changed");
    Reconcile(plugin, "its configuration has changed");
  }
  for (const auto& name : diff.updated) Reconcile(take(name), "its configuration has changed");
  for (const auto& name : diff.added) {
    if (removed_.erase(name) > 0 && plugins_.contains(name)) {
      // Back before its old process was gone.
      Plugin& plugin = take(name);
      Reconcile(plugin, "back in the configuration");
      continue;
    }
    Reconcile(Create(config_.plugins.at(name), UniqueFd()), "added to the configuration");
  }
  ScheduleReview();
  return diff;
}

bool Supervisor::Allowed(const Plugin& plugin) const {
  if (stopping_ || removed_.contains(plugin.name())) return false;
  const Decision decision = parts_.decisions.Get(plugin.name());
  return decision.enabled.value_or(plugin.config().enabled) && !decision.stopped;
}

void Supervisor::Reconcile(Plugin& plugin, const std::string& why) {
  const Decision decision = parts_.decisions.Get(plugin.name());
  const bool allowed = Allowed(plugin);
  std::string reason = why;
  if (!allowed && !stopping_ && !removed_.contains(plugin.name())) {
    reason = decision.stopped ? "stopped by an operator" : "disabled";
  }
  if (!allowed && !plugin.wanted() && plugin.state() == State::kStopped) plugin.ExplainStop(reason);
  if (allowed && plugin.RestsWithoutCause()) return plugin.StartAfresh(reason);
  plugin.Want(allowed, reason);
}

void Supervisor::SweepRuntimeDirectory() {
  std::error_code error;
  const std::filesystem::path instances = parts_.directories.runtime + "/i";
  for (const auto& entry : std::filesystem::directory_iterator(instances, error)) {
    const std::string id = entry.path().filename().string();
    if (FindInstance(id) == nullptr) RemoveInstanceDirectory(parts_.directories, id);
  }
  if (error) parts_.report(fmt::format("cannot read {}: {}", instances.string(), error.message()));
}

// ── What operators ask

std::vector<PluginStatus> Supervisor::List() const {
  std::vector<PluginStatus> all;
  all.reserve(plugins_.size());
  for (const auto& [name, plugin] : plugins_) all.push_back(StatusOf(*plugin));
  return all;
}

void Supervisor::CountStates(const std::function<void(State)>& each) const {
  for (const auto& [name, plugin] : plugins_) each(plugin->state());
}

absl::StatusOr<PluginStatus> Supervisor::Get(const std::string& name) const {
  ASSIGN_OR_RETURN(const Plugin* plugin, Require(name));
  return StatusOf(*plugin);
}

PluginStatus Supervisor::StatusOf(const Plugin& plugin) const {
  PluginStatus status = plugin.Status();
  status.enabled = parts_.decisions.Get(plugin.name()).enabled.value_or(plugin.config().enabled);
  return status;
}

observe::PluginLog* Supervisor::Log(const std::string& name) const {
  Plugin* const plugin = Find(name);
  return plugin == nullptr ? nullptr : &plugin->log();
}

std::string_view Supervisor::StderrTail(const std::string& name) const {
  const Plugin* const plugin = Find(name);
  return plugin == nullptr ? std::string_view() : plugin->StderrTail();
}

Plugin* Supervisor::Find(const std::string& name) const {
  const auto it = plugins_.find(name);
  return it == plugins_.end() ? nullptr : it->second.get();
}

Plugin* Supervisor::FindInstance(std::string_view id) const {
  for (const auto& [name, plugin] : plugins_) {
    if (plugin->instance() == id && !id.empty()) return plugin.get();
  }
  return nullptr;
}

absl::StatusOr<Plugin*> Supervisor::Require(const std::string& name) const {
  if (Plugin* const plugin = Find(name)) return plugin;
  return WithReason(
      Error(absl::StatusCode::kNotFound, "no plugin named \"{}\" is configured", name),
      "PLUGIN_NOT_FOUND");
}

absl::Status Supervisor::Decide(Plugin& plugin, const Decision& decision,
                                const std::function<void()>& carry_out) {
  if (stopping_) {
    return WithReason(Error(absl::StatusCode::kUnavailable, "plugind is shutting down"),
                      "SHUTTING_DOWN");
  }
  if (removed_.contains(plugin.name())) {
    return WithReason(
        Error(absl::StatusCode::kNotFound, "plugin {} is no longer configured and about to be gone",
              plugin.name()),
        "PLUGIN_NOT_FOUND");
  }
  Failpoint("persist.before");
  const absl::Status stored = parts_.decisions.Set(plugin.name(), decision);
  const bool stands = parts_.decisions.Get(plugin.name()) == decision;
  if (stands) {
    Failpoint("persist.decided");
    carry_out();
  }
  if (stored.ok()) return stored;
  return WithReason(Error(stored.code(), "plugin {}: {}: {}", plugin.name(),
                          stands ? "it was done, but a power failure may undo the decision"
                                 : "the decision was not stored, and nothing was done",
                          Message(stored)),
                    "STATE_NOT_SAVED");
}

absl::Status Supervisor::StartPlugin(const std::string& name) {
  ASSIGN_OR_RETURN(Plugin * plugin, Require(name));
  Decision decision = parts_.decisions.Get(name);
  if (!decision.enabled.value_or(plugin->config().enabled)) {
    return WithReason(
        Error(absl::StatusCode::kFailedPrecondition,
              "plugin {} is disabled: enable it first (pluginctl enable {})", name, name),
        "PLUGIN_DISABLED");
  }
  decision.stopped = false;
  return Decide(*plugin, decision, [&] { plugin->StartAfresh("started by an operator"); });
}

absl::Status Supervisor::StopPlugin(const std::string& name) {
  ASSIGN_OR_RETURN(Plugin * plugin, Require(name));
  Decision decision = parts_.decisions.Get(name);
  decision.stopped = true;
  return Decide(*plugin, decision, [&] { Reconcile(*plugin, "stopped by an operator"); });
}

absl::Status Supervisor::RestartPlugin(const std::string& name) {
  ASSIGN_OR_RETURN(Plugin * plugin, Require(name));
  if (!IsRunning(*plugin)) return StartPlugin(name);
  Decision decision = parts_.decisions.Get(name);
  if (!decision.enabled.value_or(plugin->config().enabled)) return StartPlugin(name);
  decision.stopped = false;
  return Decide(*plugin, decision, [&] {
    plugin->Want(true, "restarted by an operator");
    plugin->Replace("restarted by an operator");
  });
}

absl::Status Supervisor::EnablePlugin(const std::string& name) {
  ASSIGN_OR_RETURN(Plugin * plugin, Require(name));
  return Decide(*plugin, Decision{.stopped = false, .enabled = true},
                [&] { plugin->StartAfresh("enabled by an operator"); });
}

absl::Status Supervisor::DisablePlugin(const std::string& name) {
  ASSIGN_OR_RETURN(Plugin * plugin, Require(name));
  return Decide(*plugin, Decision{.stopped = false, .enabled = false},
                [&] { Reconcile(*plugin, "disabled by an operator"); });
}

// ── Who may start now

void Supervisor::ScheduleReview() {
  if (std::exchange(review_scheduled_, true)) return;
  parts_.loop.Post([this] { Review(); });
}

void Supervisor::Review() {
  review_scheduled_ = false;
  DropRemoved();
  if (stopping_) return ContinueShutdown();
  AdmitWaiting();
}

void Supervisor::AdmitWaiting() {
  std::vector<Plugin*> waiting;
  for (const auto& [name, plugin] : plugins_) {
    if (plugin->state() == State::kWaiting) waiting.push_back(plugin.get());
  }
  // Who has waited longest comes first, so that a tight budget starves nobody.
  std::ranges::stable_sort(waiting, {},
                           [](const Plugin* plugin) { return plugin->waiting_since(); });
  const Instant now = parts_.loop.clock().Now();
  for (Plugin* const plugin : waiting) {
    const std::string unmet = UnmetDependency(*plugin);
    if (!unmet.empty()) {
      plugin->ExplainWait(unmet);
    } else if (plugin->automatic() && !budget_.Take(now)) {
      plugin->ExplainWait(fmt::format("waits for the restart budget ({} a second for all plugins)",
                                      config_.daemon.restarts_per_second));
      budget_refill_.Set(budget_.NextAt(), [this] { ScheduleReview(); });
    } else {
      plugin->Admit();
    }
  }
}

std::string Supervisor::UnmetDependency(const Plugin& plugin) const {
  for (const auto& [id, name] : strays_) {
    if (name == plugin.name())
      return fmt::format("waits for the end of an earlier process (instance {})", id);
  }
  for (const auto& name : plugin.config().after) {
    const Plugin* const dependency = Find(name);
    if (dependency == nullptr) return fmt::format("waits for {}, which is not configured", name);
    if (dependency->state() != State::kReady) {
      return fmt::format("waits for {}, which is {}", name, ToString(dependency->state()));
    }
  }
  return "";
}

// ── The end

// After which nobody finds it by its name: whoever waits for that need not ask again.
void Supervisor::AnnounceRemoval(const std::string& name) {
  observe::Event event;
  event.plugin = name;
  event.from = event.to = static_cast<uint8_t>(State::kStopped);
  event.type = "removed";
  event.reason = "removed from the configuration";
  parts_.events.Append(std::move(event));
}

void Supervisor::DropRemoved() {
  for (auto it = removed_.begin(); it != removed_.end();) {
    const auto plugin = plugins_.find(*it);
    if (plugin != plugins_.end() && plugin->second->state() != State::kStopped) {
      ++it;
      continue;
    }
    const bool known = plugin != plugins_.end();
    if (known) plugins_.erase(plugin);
    parts_.keeper.DropFd(LogFdName(*it));
    parts_.keeper.DropFd(SettingsFdName(*it));
    parts_.keeper.DropRecord(*it);
    if (known) AnnounceRemoval(*it);
    it = removed_.erase(it);
  }
}

void Supervisor::Shutdown(std::function<void()> done) {
  if (stopped_) return;
  stopping_ = true;
  stopped_ = std::move(done);
  Failpoint("stop.begin");
  parts_.keeper.BeginStop();
  ScheduleReview();
}

void Supervisor::Hasten() {
  hasty_ = true;
  ScheduleReview();
}

void Supervisor::ContinueShutdown() {
  // A plugin may stop once nothing that is configured to start after it runs any more.
  std::set<std::string> needed;
  for (const auto& [name, plugin] : plugins_) {
    if (IsRunning(*plugin))
      needed.insert(plugin->config().after.begin(), plugin->config().after.end());
  }
  bool running = false;
  for (const auto& [name, plugin] : plugins_) {
    if (hasty_ || !IsRunning(*plugin) || !needed.contains(name)) {
      plugin->Want(false, "plugind is shutting down");
    }
    if (hasty_) plugin->KillNow();
    running = running || IsRunning(*plugin);
  }
  if (!running && stopped_) std::exchange(stopped_, nullptr)();
}

// ── What the keeper reports

void Supervisor::SetStatusText(const std::string& name, std::string_view text) {
  if (Plugin* const plugin = Find(name)) plugin->SetStatusText(text);
}

void Supervisor::OnDrained(const std::string& instance) {
  if (Plugin* const plugin = FindInstance(instance)) plugin->OnDrained();
}

void Supervisor::OnSpawned(std::string_view id, int pid, UniqueFd stdout_pipe,
                           UniqueFd stderr_pipe) {
  if (Plugin* const plugin = FindInstance(id)) {
    plugin->OnSpawned(pid, std::move(stdout_pipe), std::move(stderr_pipe));
  } else {
    parts_.keeper.KillTree(id);
  }
}

void Supervisor::OnSpawnFailed(std::string_view id, SpawnStep step, int error) {
  if (Plugin* const plugin = FindInstance(id)) plugin->OnSpawnFailed(step, error);
}

void Supervisor::OnExited(std::string_view id, const ExitStatus& status, Instant at) {
  if (Plugin* const plugin = FindInstance(id)) plugin->OnExited(status, at);
}

void Supervisor::OnGone(std::string_view id) {
  if (Plugin* const plugin = FindInstance(id)) {
    plugin->OnGone();
  } else {
    strays_.erase(std::string(id));
    parts_.keeper.Forget(id);
    ScheduleReview();
  }
}

void Supervisor::OnStuck(std::string_view id, const std::vector<int>& remaining) {
  if (Plugin* const plugin = FindInstance(id)) plugin->OnStuck(remaining);
}

void Supervisor::OnKeeperLost() { parts_.loop.Stop(); }

}  // namespace plugind::supervisor
