#include "daemon/plugind/lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <array>

namespace plugind {

absl::StatusOr<UniqueFd> TakeLock(const std::string& directory) {
  const std::string path = directory + "/plugind.lock";
  UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd.valid()) return ErrnoError(errno, "cannot open the lock file " + path);
  if (::flock(fd.get(), LOCK_EX | LOCK_NB) < 0) {
    if (errno != EWOULDBLOCK) return ErrnoError(errno, "cannot lock " + path);
    std::array<char, 32> pid{};
    const ssize_t size = ::pread(fd.get(), pid.data(), pid.size() - 1, 0);
    return Error(absl::StatusCode::kAlreadyExists, "another plugind (pid {}) is using {}",
                 size > 0 ? std::string(pid.data(), static_cast<size_t>(size)) : "unknown",
                 directory);
  }
  const std::string text = std::to_string(::getpid());
  if (::ftruncate(fd.get(), 0) < 0 || ::pwrite(fd.get(), text.data(), text.size(), 0) < 0) {
    return ErrnoError(errno, "cannot write " + path);
  }
  return fd;
}

}  // namespace plugind
