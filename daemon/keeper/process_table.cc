#include "daemon/keeper/process_table.h"

#include <sys/wait.h>

#include <algorithm>
#include <utility>

#include "daemon/keeper/log.h"

namespace plugind::keeper {

ProcessTable::ProcessTable(EventLoop& loop, const LaunchContext& launch, const Cgroup* cgroup)
    : host_{loop, launch, cgroup, [this](Process& p) { Changed(p); },
            [this](int pid) { return IsKnown(pid); }} {}

void ProcessTable::Spawn(const SpawnCommand& command, const UniqueFd& executable) {
  const SpawnSpec& spec = command.spec;
  if (processes_.contains(spec.id) || processes_.size() >= kMaxProcesses) {
    Log("error", "spawn of " + spec.plugin + " refused: " +
                     (processes_.contains(spec.id) ? "its id is in use" : "too many processes"));
    return;
  }
  auto process = std::make_unique<Process>(host_, command, executable);
  Process& added = *process;
  processes_.emplace(spec.id, std::move(process));
  if (added.holds_pid()) pids_.insert(added.pid());
  Changed(added);
}

Process* ProcessTable::Find(std::string_view id) {
  const auto it = processes_.find(id);
  return it == processes_.end() ? nullptr : it->second.get();
}

bool ProcessTable::AnyStarting() const {
  return std::any_of(processes_.begin(), processes_.end(), [](const auto& entry) {
    return entry.second->stage() == Process::Stage::kStarting;
  });
}

void ProcessTable::Changed(Process& process) {
  if (!process.holds_pid() && pids_.erase(process.pid()) > 0) ReapOrphans();
  if (process.finished()) {
    processes_.erase(process.id());
  } else {
    Enqueue(process);
  }
  if (on_changed_) on_changed_();
}

void ProcessTable::Enqueue(const Process& process) {
  if (process.NextReport() && queued_.insert(process.id()).second) untold_.push_back(process.id());
}

void ProcessTable::Adopted(std::string_view id) {
  Process& process = *Find(id);
  process.ToldByAdoption();
  Enqueue(process);  // that it is stuck is not part of the adoption
}

std::optional<Outgoing> ProcessTable::NextReport() {
  while (!untold_.empty()) {
    if (Process* process = Find(untold_.front())) {
      if (auto report = process->NextReport()) return report;
    }
    queued_.erase(untold_.front());
    untold_.pop_front();
  }
  return std::nullopt;
}

void ProcessTable::Told(const Report& report) {
  Process* process = Find(untold_.front());
  process->Told(report);
  if (process->finished()) processes_.erase(process->id());
}

std::optional<Outgoing> ProcessTable::NextAdoption(std::string_view after, std::string* id) {
  auto it = processes_.upper_bound(after);
  while (it != processes_.end()) {
    Process& process = *it->second;
    const auto next = std::next(it);
    if (auto adoption = process.Adoption()) {
      *id = process.id();
      return adoption;
    }
    process.ToldByAdoption();
    if (process.finished()) processes_.erase(it);
    it = next;
  }
  return std::nullopt;
}

void ProcessTable::ReapOrphans() {
  for (;;) {
    siginfo_t info{};
    if (::waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) < 0 || info.si_pid == 0) return;
    // A main process, or plugind: whoever watches its pidfd reaps it, and what is behind it in the
    // kernel's list then has its turn. While it is kept unreaped for its tree's sake, the looks at
    // that tree reap the orphans.
    if (IsKnown(info.si_pid)) return;
    ::waitid(P_PID, static_cast<id_t>(info.si_pid), &info, WEXITED | WNOHANG);
  }
}

}  // namespace plugind::keeper
