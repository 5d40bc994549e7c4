#include "daemon/supervisor/testing/failing_disk.h"

#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

namespace {

bool failing = false;

}  // namespace

namespace plugind::supervisor {

FailingDisk::FailingDisk() { failing = true; }
FailingDisk::~FailingDisk() { failing = false; }

}  // namespace plugind::supervisor

// The program's own definition comes before the C library's.
extern "C" int fsync(int fd) {
  struct stat file {};
  if (failing && ::fstat(fd, &file) == 0 && S_ISDIR(file.st_mode)) {
    errno = EIO;
    return -1;
  }
  return static_cast<int>(::syscall(SYS_fsync, fd));
}
