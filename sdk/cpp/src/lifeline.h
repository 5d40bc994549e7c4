// Lifeline answers one question: until when does the plugin run? Until it is told to stop (SIGTERM,
// the host's Shutdown, Plugin::stop) or its parent, the host, is gone. Thread safety: RequestStop
// may be called on any thread and in signal handlers, StopRequested on any thread; nothing else
// may.
#pragma once

#include <signal.h>
#include <sys/types.h>

#include "sdk/cpp/src/fd.h"

namespace plugind::sdk {

class Lifeline {
 public:
  enum class End {
    kAsked,
    kOrphaned,
  };

  Lifeline();
  ~Lifeline();
  Lifeline(const Lifeline&) = delete;
  Lifeline& operator=(const Lifeline&) = delete;

  void RequestStop();

  // Whether anyone has, while nobody waits.
  bool StopRequested() const;

  // Takes over SIGTERM, SIGINT and SIGPIPE where they are at their defaults, until this object's
  // end, and remembers who the parent is. Only one Lifeline of a process may do so. Throws Failure.
  void Attach();

  // Waits for the end. After Attach. `host_stdout` is the pipe to the host: where the parent is
  // outside of our PID namespace, and so cannot be watched, its end is taken for the host's.
  End Wait(int host_stdout);

 private:
  Fd stop_;    // eventfd
  Fd parent_;  // pidfd of the host; invalid where the kernel has none
  pid_t parent_pid_ = 0;
  struct sigaction previous_[3] = {};
  bool taken_[3] = {};
};

}  // namespace plugind::sdk
