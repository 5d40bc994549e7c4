// A plugind that serves one author for as long as he looks on: a child in a session of its own, so
// that the terminal's Ctrl-C does not reach it, which ends when this process does, however that
// comes.
//
// Life: Start → Stop, harder each time → the pidfd tells the end → Reap. One thread, which must
// outlive it: the kernel ties the child to the thread that forked.
#pragma once

#include <absl/status/statusor.h>
#include <sys/types.h>

#include <string>

#include "daemon/base/unique_fd.h"

namespace plugind::pluginctl {

// The plugind of this installation or build tree: beside pluginctl. The error names every place.
absl::StatusOr<std::string> FindPlugind();

class PrivateDaemon {
 public:
  // `folder` has c/plugind.toml in it; sockets, state and plugind.log come beside.
  static absl::StatusOr<PrivateDaemon> Start(const std::string& plugind, const std::string& folder);

  PrivateDaemon(PrivateDaemon&&) noexcept = default;
  PrivateDaemon& operator=(PrivateDaemon&&) = delete;
  // Kills it if it was not reaped.
  ~PrivateDaemon();

  // Held by it for as long as it or its keeper lives.
  static std::string LockIn(const std::string& folder) { return folder + "/r/plugind.lock"; }
  static std::string SocketIn(const std::string& folder) { return folder + "/r/plugind.sock"; }

  // Readable when it has ended.
  int pidfd() const { return pidfd_.get(); }
  // First in order, then quickly, then at once.
  void Stop();
  // How it ended, in words. Waits for it.
  std::string Reap();

 private:
  PrivateDaemon(pid_t pid, UniqueFd pidfd) : pid_(pid), pidfd_(std::move(pidfd)) {}

  pid_t pid_;
  UniqueFd pidfd_;  // invalid: reaped
  int stops_ = 0;
};

}  // namespace plugind::pluginctl
