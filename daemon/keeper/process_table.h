// All processes in custody by id, and the queue of those that plugind has not been told all about.
// The queue holds each process once, so a plugind that does not read costs no memory: what it is
// told is the state, when it does. One thread.
#pragma once

#include <cstddef>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_set>

#include "daemon/keeper/process.h"

namespace plugind::keeper {

inline constexpr size_t kMaxProcesses = 8192;

class ProcessTable {
 public:
  // `cgroup` may be null. All outlive the table.
  ProcessTable(EventLoop& loop, const LaunchContext& launch, const Cgroup* cgroup);

  // Called whenever there may be something new to tell; once it is set.
  void OnChanged(std::function<void()> callback) { on_changed_ = std::move(callback); }
  // plugind's own pid, which is no orphan; 0: none.
  void SetBrain(int pid) { brain_ = pid; }

  void Spawn(const SpawnCommand& command, const UniqueFd& executable);
  Process* Find(std::string_view id);
  // Whether a process has not yet executed its program.
  bool AnyStarting() const;

  // The oldest untold report, or null. Told() takes it as sent.
  std::optional<Outgoing> NextReport();
  void Told(const Report& report);
  // The processes to hand over to a new plugind, one after the other in order of id; null at the
  // end. Adopted() takes one as handed over.
  std::optional<Outgoing> NextAdoption(std::string_view after, std::string* id);
  void Adopted(std::string_view id);

  // Waits for the dead children that nobody here knows: orphans of plugins. Called on SIGCHLD.
  void ReapOrphans();

 private:
  void Changed(Process& process);
  void Enqueue(const Process& process);
  bool IsKnown(int pid) const { return pid == brain_ || pids_.contains(pid); }

  Process::Host host_;
  std::function<void()> on_changed_;
  int brain_ = 0;
  std::map<std::string, std::unique_ptr<Process>, std::less<>> processes_;
  std::unordered_set<int> pids_;
  std::deque<std::string> untold_;  // ids; each once
  std::unordered_set<std::string> queued_;
};

}  // namespace plugind::keeper
