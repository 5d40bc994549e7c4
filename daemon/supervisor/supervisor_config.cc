// Supervisor: which plugins there are, and which of them are wanted: what an earlier plugind left,
// what a configuration adds, changes and removes.
#include <cstdlib>
#include <filesystem>
#include <system_error>
#include <utility>

#include "daemon/supervisor/kept_settings.h"
#include "daemon/supervisor/supervisor.h"

namespace plugind::supervisor {
namespace {

constexpr char kLogFdPrefix[] = "log:";

std::string LogFdName(const std::string& plugin) { return kLogFdPrefix + plugin; }

}  // namespace

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

bool Supervisor::Enabled(const Plugin& plugin) const {
  return parts_.decisions.Get(plugin.name()).enabled.value_or(plugin.config().enabled);
}

bool Supervisor::Allowed(const Plugin& plugin) const {
  if (stopping_ || removed_.contains(plugin.name())) return false;
  return Enabled(plugin) && !parts_.decisions.Get(plugin.name()).stopped;
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

}  // namespace plugind::supervisor
