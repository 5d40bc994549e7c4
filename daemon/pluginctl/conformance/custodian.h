// The parent of one plugin process, between it and pluginctl, so that the plugin has a host that
// can die while pluginctl lives, and so that nothing is left of it however pluginctl ends.
//
// It is a fork of pluginctl that never execs and makes system calls only: pluginctl has threads. It
// is a session leader and the subreaper of the plugin, starts it in a session of its own, tells
// what becomes of it, and waits until `control` is closed, which the kernel does if nobody else.
// Then it kills all of its descendants and ends.
#pragma once

#include <sys/types.h>

namespace plugind::pluginctl::conformance {

struct Custody {
  // Of the plugin; all stay the caller's.
  const char* const* argv;
  const char* const* environment;
  const char* working_directory;
  int standard_output, standard_error;
  // Of the custodian: it ends when every other end of `control` is closed, and writes News to
  // `news`.
  int control, news;
  // Removed when pluginctl has gone without having written a byte to `control`.
  const char* folder;
};

struct News {
  enum What : int {
    kStarted,  // value: the process id
    kNoStart,  // value: errno
    kEnded,    // value: the status of waitpid
  } what;
  int value;
};

// The process id of the custodian, or -1 with errno set.
pid_t ForkCustodian(const Custody& custody);

}  // namespace plugind::pluginctl::conformance
