// The process of plugind itself: forked from the keeper with its end of a socket as fd 3, watched
// through a pidfd. One object is one life. One thread.
#pragma once

#include <string>
#include <vector>

#include "daemon/base/custody.h"
#include "daemon/base/unique_fd.h"
#include "daemon/keeper/launch.h"

namespace plugind::keeper {

class Brain {
 public:
  // `command`: the absolute path of plugind, and its arguments. Invalid, with errno, when there can
  // be no process.
  Brain(const std::vector<std::string>& command, const LaunchContext& context);
  // Must not be alive any more.
  ~Brain() = default;

  bool valid() const { return pidfd_.valid(); }
  int pid() const { return pid_; }
  const UniqueFd& pidfd() const { return pidfd_; }
  // The keeper's end; once.
  UniqueFd TakeSocket() { return std::move(socket_); }

  void Signal(int signal) const;
  // Its end, when `pidfd` is readable.
  ExitStatus Reap();

 private:
  int pid_ = 0;
  UniqueFd pidfd_;
  UniqueFd socket_;
};

}  // namespace plugind::keeper
