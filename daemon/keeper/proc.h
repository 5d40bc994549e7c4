// What /proc tells about processes: who is whose child, and whose tree an orphan belongs to. Used
// where no cgroup holds a tree together. Reads only; one thread.
#pragma once

#include <sys/types.h>

#include <array>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace plugind::keeper {

// The whole of a small file; empty when it cannot be read.
std::string ReadWhole(const char* path);
void ForEachLine(std::string_view text, const std::function<void(std::string_view)>& visit);
// The names of the directories in `path`.
std::vector<std::string> ListDirectories(const std::string& path);

// The children of `pid`, of all its threads, zombies included. For this process's own children the
// list is exact: only this process takes a child off it.
std::vector<int> ChildrenOf(int pid);

struct Descendant {
  int pid;
  int parent;
};
// `children`, which are this process's own, and all that descends from them.
std::vector<Descendant> WithDescendants(const std::vector<int>& children);
// SIGKILL. One that is not our own child may be dead, and its number another's, by now: it is sent
// through a pidfd, and only if its parent is still the one that it was seen under, or us.
void KillDescendant(const Descendant& descendant);

struct ProcessStat {
  char state = 0;  // 0: there is no such process
  int parent = 0;
  int group = 0;
  int session = 0;
};
ProcessStat StatOf(int pid);

// The marks that a tree's processes bear, as long as they have not taken trouble to shed all of
// them.
struct TreeMarks {
  int main_pid =
      0;  // of the session and the group; its number must not have been freed (reaped) yet
  std::string_view id;           // PLUGIND_INSTANCE in the environment
  std::array<ino_t, 2> pipes{};  // stdout's and stderr's
};
bool BearsMarks(int pid, const TreeMarks& marks);

}  // namespace plugind::keeper
