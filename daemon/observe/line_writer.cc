#include "daemon/observe/line_writer.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>

namespace plugind::observe {

// O_NONBLOCK belongs to the open file, which we share with the keeper and with whoever started us:
// setting it would break their writes. Opening the same pipe or terminal again gives an open file
// of our own. A regular file is not opened again, because then its writers would no longer share
// one offset; it never makes us wait for a reader either.
LineWriter::LineWriter(int fd) : fd_(fd) {
  struct stat status;
  if (::fstat(fd, &status) != 0) return;
  if (S_ISSOCK(status.st_mode)) {
    kind_ = Kind::kSocket;
  } else if (S_ISFIFO(status.st_mode) || S_ISCHR(status.st_mode)) {
    const std::string path = "/proc/self/fd/" + std::to_string(fd);
    reopened_.reset(::open(path.c_str(), O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
    if (reopened_.valid()) kind_ = Kind::kReopened;
  }
}

size_t LineWriter::WriteSome(std::string_view bytes) {
  ssize_t written = -1;
  do {
    switch (kind_) {
      case Kind::kReopened:
        written = ::write(reopened_.get(), bytes.data(), bytes.size());
        break;
      case Kind::kSocket:
        written = ::send(fd_, bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
        break;
      case Kind::kOther: {
        // Ready means room for PIPE_BUF bytes, so no more at once.
        pollfd ready = {fd_, POLLOUT, 0};
        if (::poll(&ready, 1, 0) != 1 || (ready.revents & POLLOUT) == 0) return 0;
        written = ::write(fd_, bytes.data(), std::min<size_t>(bytes.size(), PIPE_BUF));
        break;
      }
    }
  } while (written < 0 && errno == EINTR);
  return written > 0 ? static_cast<size_t>(written) : 0;
}

bool LineWriter::Write(std::string_view line) {
  while (!rest_.empty()) {
    const size_t written = WriteSome(rest_);
    if (written == 0) return false;
    rest_.erase(0, written);
  }
  size_t done = 0;
  while (done < line.size()) {
    const size_t written = WriteSome(line.substr(done));
    if (written == 0) break;
    done += written;
  }
  if (done == 0) return false;
  rest_ = line.substr(done);
  return true;
}

}  // namespace plugind::observe
