#include "sdk/cpp/src/stdout_capture.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <utility>

#include "sdk/cpp/src/failure.h"

namespace plugind::sdk {

StdoutCapture::StdoutCapture(int original, std::function<void(std::string_view)> sink)
    : original_(original), sink_(std::move(sink)) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) throw ErrnoFailure(errno, "a pipe for stdout");
  read_end_.Reset(ends[0]);
  const Fd write_end(ends[1]);
  wake_.Reset(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  // Non-blocking at our end only: the writers share the other one and expect a plain stdout.
  if (!wake_.valid() || fcntl(read_end_.get(), F_SETFL, O_NONBLOCK) != 0 ||
      dup2(write_end.get(), STDOUT_FILENO) < 0) {
    throw ErrnoFailure(errno, "a pipe in the place of stdout");
  }
  thread_ = std::thread([this] { Run(); });
}

StdoutCapture::~StdoutCapture() { Stop(); }

void StdoutCapture::Stop() {
  if (!thread_.joinable()) return;
  std::fflush(stdout);
  dup2(original_, STDOUT_FILENO);
  eventfd_write(wake_.get(), 1);
  thread_.join();
}

void StdoutCapture::Run() {
  // A child of the plugin may hold the write end for ever, so the end is Stop's word and not the
  // pipe's.
  pollfd watched[2] = {{wake_.get(), POLLIN, 0}, {read_end_.get(), POLLIN, 0}};
  std::array<char, 16 * 1024> buffer;
  for (;;) {
    if (poll(watched, 2, -1) < 0 && errno != EINTR) return;
    const bool last = watched[0].revents != 0;
    for (;;) {
      const ssize_t count = read(read_end_.get(), buffer.data(), buffer.size());
      if (count <= 0) {
        if (count < 0 && errno == EINTR) continue;
        if (count == 0) return;
        break;
      }
      sink_(std::string_view(buffer.data(), static_cast<size_t>(count)));
    }
    if (last) return;
  }
}

}  // namespace plugind::sdk
