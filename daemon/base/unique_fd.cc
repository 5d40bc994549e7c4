#include "daemon/base/unique_fd.h"

#include <fcntl.h>
#include <unistd.h>

namespace plugind {

void UniqueFd::reset(int fd) {
  // close() must not be repeated on EINTR: Linux has already freed the number by then.
  if (fd_ >= 0) ::close(fd_);
  fd_ = fd;
}

UniqueFd UniqueFd::Duplicate() const { return UniqueFd(::fcntl(fd_, F_DUPFD_CLOEXEC, 0)); }

}  // namespace plugind
