// What the keeper does for plugind, as plain types and one seam. The keeper's client
// (daemon/keeper/client.h) implements `Keeper` over a socket; tests implement it by hand.
//
// A process's life here: Spawn → OnSpawned (or OnSpawnFailed, and that is the end of it) → OnExited
// → OnGone → Forget. "Exited" is the end of the main process; "gone" is the end of the last process
// of its tree, which the keeper kills when the main process has exited: at KillTree, or without it
// 1 ms later. Until Forget, the keeper remembers the process and tells a successor of plugind.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/base/clock.h"
#include "daemon/base/unique_fd.h"

namespace plugind {

// Who a process runs as. Needs the keeper to be root.
struct Identity {
  uint32_t uid = 0;
  uint32_t gid = 0;
  std::vector<uint32_t> groups;  // supplementary, `gid` included
  friend bool operator==(const Identity&, const Identity&) = default;
};

struct SpawnSpec {
  std::string id;      // the instance; unique while the keeper lives; [a-z0-9]{1,32}
  std::string plugin;  // for messages, and to find the plugin again after plugind's death
  std::string path;    // what is executed, absolute
  std::vector<std::string> argv;
  std::vector<std::string> env;  // KEY=VALUE, the whole environment
  std::string working_directory;
  std::optional<Identity> identity;
  uint64_t nofile_limit = 0;  // RLIMIT_NOFILE, soft and hard; 0: as the keeper's own
  uint64_t core_limit = 0;    // RLIMIT_CORE in bytes, soft and hard
};

// The step of a spawn that failed, with its errno.
enum class SpawnStep : uint8_t {
  kPipe,  // making the pipes
  kFork,
  kSession,           // setsid
  kStdio,             // /dev/null, dup2
  kLimits,            // setrlimit
  kIdentity,          // setgroups, setgid, setuid
  kWorkingDirectory,  // chdir
  kCloseFds,
  kNoNewPrivileges,
  kParentDeathSignal,
  kExec,
};
std::string_view ToString(SpawnStep step);

// How a process ended, as waitid(2) tells it. A value, not an error.
struct ExitStatus {
  int code = 0;       // meaningful when signal is 0
  int signal = 0;     // 0: it exited by itself
  bool core = false;  // a core was dumped
  bool oom = false;   // its cgroup counted an out-of-memory kill
  friend bool operator==(const ExitStatus&, const ExitStatus&) = default;
};
// "exit code 3", "killed by signal 9 (Killed)", "… , core dumped".
std::string ToString(const ExitStatus& status);

class Keeper {
 public:
  virtual ~Keeper() = default;
  // `executable` is an open fd of spec.path (not kept); invalid for a script, which is executed by
  // path.
  virtual void Spawn(const SpawnSpec& spec, const UniqueFd& executable) = 0;
  // To the process group of `id`. No effect once it has exited.
  virtual void Signal(std::string_view id, int signal) = 0;
  // SIGKILL to every process of the tree, again and again until none is left (OnGone) or it is
  // given up (OnStuck, after 5 s; the keeper goes on trying and OnGone may still follow).
  virtual void KillTree(std::string_view id) = 0;
  // The end of a gone process has been taken note of. Its pipes are closed.
  virtual void Forget(std::string_view id) = 0;
  // Opaque bytes (≤ 64 KiB) under a name, kept across plugind's death. Ordered with the other
  // commands.
  virtual void PutRecord(std::string_view name, std::string_view bytes) = 0;
  virtual void DropRecord(std::string_view name) = 0;
  // The keeper keeps a duplicate of `fd` under a name (a listener, a log's memory), across
  // plugind's death.
  virtual void KeepFd(std::string_view name, const UniqueFd& fd) = 0;
  virtual void DropFd(std::string_view name) = 0;
  // An orderly stop has begun: from now on the end of plugind is the end of the keeper, and a
  // successor, should plugind be killed before it is done, is told so (Inheritance::stopping).
  virtual void BeginStop() = 0;
};

// What the keeper reports. Called on the loop's thread.
class KeeperObserver {
 public:
  virtual ~KeeperObserver() = default;
  virtual void OnSpawned(std::string_view id, int pid, UniqueFd stdout_pipe,
                         UniqueFd stderr_pipe) = 0;
  virtual void OnSpawnFailed(std::string_view id, SpawnStep step, int error) = 0;
  // `at`: when the keeper saw it.
  virtual void OnExited(std::string_view id, const ExitStatus& status, Instant at) = 0;
  virtual void OnGone(std::string_view id) = 0;
  // `remaining`: pids that did not die of SIGKILL within 5 s.
  virtual void OnStuck(std::string_view id, const std::vector<int>& remaining) = 0;
  // The keeper is dead, and the kernel is about to kill this process too.
  virtual void OnKeeperLost() = 0;
};

// A process as the keeper hands it to a (new) plugind.
struct InheritedProcess {
  std::string id;
  std::string plugin;
  int pid = 0;
  UniqueFd stdout_pipe;
  UniqueFd stderr_pipe;
  std::optional<ExitStatus> exited;
  Instant exited_at;
  bool gone = false;
};

// Everything that outlived the previous plugind; empty at the first start.
struct Inheritance {
  bool stopping = false;
  uint32_t generation = 0;  // how many plugind processes this keeper has started before
  std::string
      cgroup;  // the directory under which each tree has its cgroup; empty: none is writable
  std::vector<InheritedProcess> processes;
  std::map<std::string, std::string> records;
  std::map<std::string, UniqueFd> fds;
};

}  // namespace plugind
