// One plugin process in custody, from its fork until its tree is gone:
//
//   starting ──► running ──► exited ──► gone
//      └───────► failed  (a step before the exec)
//
// Exited: the main process is dead, and the rest of its tree is killed when plugind asks for it, or
// 1 ms later. Gone: nothing of it is left.
//
// Owned by the ProcessTable; lives on the keeper's loop. Host::changed may destroy a process that
// is finished(), so a method that may have finished it does nothing after that call.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "daemon/base/custody.h"
#include "daemon/base/event_loop.h"
#include "daemon/base/timer_queue.h"
#include "daemon/base/unique_fd.h"
#include "daemon/keeper/cgroup.h"
#include "daemon/keeper/launch.h"
#include "daemon/keeper/protocol.h"

namespace plugind::keeper {

// A report and the fds that go with it; these stay the process's.
struct Outgoing {
  Report report;
  int first_fd = -1;  // -1: none
  int second_fd = -1;
};

class Process {
 public:
  enum class Stage : uint8_t {
    kStarting,
    kRunning,
    kExited,
    kGone,
    kFailed,
  };

  // What a process needs of its surroundings; outlives it.
  struct Host {
    EventLoop& loop;
    const LaunchContext& launch;
    const Cgroup* cgroup;                   // null: trees are followed through /proc
    std::function<void(Process&)> changed;  // there is something to tell
    std::function<bool(int pid)> is_known;  // a main process that is not reaped, or plugind
  };

  // Forks. A failure to do so is the process's first and last state.
  Process(const Host& host, const SpawnCommand& command, const UniqueFd& executable);
  ~Process();
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  const std::string& id() const { return id_; }
  Stage stage() const { return stage_; }
  int pid() const { return pid_; }
  // Its number cannot belong to anyone else yet.
  bool holds_pid() const { return holds_pid_; }

  void Signal(int signal);
  void KillTree();
  // plugind wants to hear no more of it. Closes the pipes.
  void Forget();
  bool finished() const;  // forgotten or failed, told, and nothing of it is left

  // What plugind has not been told yet, oldest first; null when it knows all. Told() takes the
  // report as sent.
  std::optional<Outgoing> NextReport() const;
  void Told(const Report& report);
  // The same for a new plugind, which is told all at once; null when it is not to know of it.
  std::optional<Outgoing> Adoption() const;
  void ToldByAdoption();

 private:
  void OnFailurePipe();
  void TakeProgress(Progress progress, const LaunchFailure& failure);
  void OnDeath();
  // Kills what is left of the tree, looks whether it is gone, and comes back until it is.
  void Pursue();
  // The pids of the tree that are still there, after each was sent SIGKILL unless `spare`.
  std::vector<int> KillThroughProc(bool spare);
  bool KillThroughCgroup(bool spare);
  void Reap();
  void Finish();

  const Host& host_;
  const std::string id_;
  const std::string plugin_;
  int pid_ = 0;
  bool holds_pid_ = false;
  UniqueFd pidfd_, stdout_, stderr_, failure_pipe_, cgroup_events_;
  bool in_cgroup_ = false;

  Stage stage_ = Stage::kStarting;
  Stage told_ = Stage::kStarting;
  bool forgotten_ = false;
  LaunchFailure failure_;
  ExitStatus status_;
  Instant exited_at_;

  Deadline reap_again_;
  std::optional<Instant> pursued_since_;
  Duration pause_{};
  Deadline pursue_again_;
  bool stuck_ = false, told_stuck_ = false;
  std::vector<int> remaining_;
};

}  // namespace plugind::keeper
