#include "daemon/pluginctl/output.h"

#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <thread>

#include "daemon/pluginctl/exit_code.h"

namespace plugind::pluginctl {

void Output::Flush() {
  std::string_view rest = buffer_;
  while (!rest.empty()) {
    const ssize_t written = write(STDOUT_FILENO, rest.data(), rest.size());
    if (written >= 0) {
      rest.remove_prefix(static_cast<size_t>(written));
      continue;
    }
    if (errno == EINTR) continue;
    if (errno == EAGAIN) {  // somebody made the terminal non-blocking
      pollfd writable{STDOUT_FILENO, POLLOUT, 0};
      poll(&writable, 1, -1);
      continue;
    }
    if (errno == EPIPE) _exit(static_cast<int>(ExitCode::kDone));
    fmt::print(stderr, "pluginctl: cannot write to standard output: {}\n", std::strerror(errno));
    _exit(static_cast<int>(ExitCode::kFailed));
  }
  buffer_.clear();
}

void Output::EndWithReader() {
  // A pipe whose reader has gone shows POLLERR. The thread lives as long as the program.
  std::thread([] {
    pollfd stdout_fd{STDOUT_FILENO, 0, 0};
    while (poll(&stdout_fd, 1, -1) < 0 && errno == EINTR) {
    }
    if ((stdout_fd.revents & POLLERR) != 0) _exit(static_cast<int>(ExitCode::kDone));
  }).detach();
}

}  // namespace plugind::pluginctl
