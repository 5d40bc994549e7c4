// Whose listener a TCP port of the loopback is. A Unix socket tells by SO_PEERCRED; for TCP there
// is only /proc: the table of sockets gives the listener's inode, and a process of the plugin must
// have it among its fds. Any thread; takes as long as it takes to read them.
#pragma once

#include <cstdint>

#include "daemon/base/status.h"

namespace plugind::rpc {

struct LoopbackPort {
  bool six = false;  // [::1] rather than 127.0.0.1
  uint16_t port = 0;
};

// OK when every listener that such a connection could reach belongs to `main_pid`, a descendant of
// it or its session. Where the kernel does not let us see the fds of one of these, they count for
// what their user is: then the listener must at least be the same user's.
//   UNAVAILABLE          nobody listens there any more
//   FAILED_PRECONDITION  another process does
absl::Status CheckListener(const LoopbackPort& at, int main_pid);

}  // namespace plugind::rpc
