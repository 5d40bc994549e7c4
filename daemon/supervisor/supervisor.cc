// Supervisor: who may start now, the orderly end, and whom a report is about.
#include "daemon/supervisor/supervisor.h"

#include <algorithm>
#include <utility>

#include "daemon/base/failpoint.h"

namespace plugind::supervisor {
namespace {

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

// ── What the keeper and others report

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
