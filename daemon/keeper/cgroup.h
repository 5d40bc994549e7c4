// The keeper's part of the cgroup v2 tree: OWN/plugind-PID, and under it a directory for each
// plugin process's tree. A process cannot leave it by forking, so that killing it takes the whole
// tree down, whatever the tree does.
//
// The directory is locked (flock) for the keeper's life; one that is not locked was left by a dead
// keeper, and is killed and removed by the next. One thread.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/base/unique_fd.h"

namespace plugind::keeper {

class Cgroup {
 public:
  // Null when no cgroup v2 is mounted, or this process may not write its own, or the kernel is
  // older than 5.14 (no cgroup.kill): then trees are followed through /proc.
  static std::unique_ptr<Cgroup> Create();
  // Removes the directories that are empty.
  ~Cgroup();

  const std::string& path() const { return path_; }

  // The new directory of a tree, open, to fork into; invalid, with errno, on failure.
  UniqueFd MakeTree(std::string_view id) const;
  // SIGKILL to all of the tree, atomically: nothing forks out of it.
  void KillTree(std::string_view id) const;
  // Whether anything lives in it. `events` is an fd of OpenEvents(), and is armed anew (EPOLLPRI)
  // by asking.
  static bool IsPopulated(const UniqueFd& events);
  UniqueFd OpenEvents(std::string_view id) const;
  std::vector<int> Pids(std::string_view id) const;
  // Whether the kernel has killed for lack of memory there. False without a memory controller.
  bool HasOomKill(std::string_view id) const;
  void RemoveTree(std::string_view id) const;

  // SIGKILL to every tree.
  void KillAll() const;

 private:
  Cgroup(std::string path, UniqueFd lock);
  std::string TreePath(std::string_view id) const;

  std::string path_;
  UniqueFd lock_;
  bool counts_memory_ = false;
};

}  // namespace plugind::keeper
