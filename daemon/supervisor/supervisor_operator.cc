// Supervisor: what operators see and ask.
#include "daemon/base/failpoint.h"
#include "daemon/supervisor/reason.h"
#include "daemon/supervisor/supervisor.h"

namespace plugind::supervisor {

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
  status.enabled = Enabled(plugin);
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
  if (!Enabled(*plugin)) {
    return WithReason(
        Error(absl::StatusCode::kFailedPrecondition,
              "plugin {} is disabled: enable it first (pluginctl enable {})", name, name),
        "PLUGIN_DISABLED");
  }
  Decision decision = parts_.decisions.Get(name);
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
  if (!HasProcess(plugin->state()) || !Enabled(*plugin)) return StartPlugin(name);
  Decision decision = parts_.decisions.Get(name);
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

}  // namespace plugind::supervisor
