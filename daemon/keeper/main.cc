// plugind-keeper [--lock-fd N] -- /ABSOLUTE/PATH/TO/plugind ARGUMENTS…
//
// Executed by plugind in its own place, so that the service manager's main process is the keeper.
#include <fcntl.h>
#include <linux/close_range.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <charconv>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/base/clock.h"
#include "daemon/keeper/keeper.h"
#include "daemon/keeper/log.h"

namespace {

constexpr int kUsage = 64;  // EX_USAGE

// fd 0 to 2 are open for sure, and above them only the lock is: whatever else was left open in
// plugind's first life, or by the shell that started it, must not be held here for ever.
void TidyFds(int lock_fd) {
  while (true) {
    const int fd = ::open("/dev/null", O_RDWR | O_CLOEXEC);
    if (fd > STDERR_FILENO || fd < 0) {
      ::close(fd);
      break;
    }
    ::fcntl(fd, F_SETFD, 0);
  }
  const auto lock = static_cast<unsigned>(lock_fd);
  if (lock_fd > STDERR_FILENO) {
    ::fcntl(lock_fd, F_SETFD, FD_CLOEXEC);
    if (lock > 3) ::syscall(SYS_close_range, 3U, lock - 1, 0);
    ::syscall(SYS_close_range, lock + 1, ~0U, 0);
  } else {
    ::syscall(SYS_close_range, 3U, ~0U, 0);
  }
}

}  // namespace

int main(int argc, char** argv) {
  std::vector<std::string> words(argv + 1, argv + argc);
  int lock_fd = -1;
  if (words.size() >= 2 && words[0] == "--lock-fd") {
    const std::string& number = words[1];
    std::from_chars(number.data(), number.data() + number.size(), lock_fd);
    words.erase(words.begin(), words.begin() + 2);
  }
  if (words.size() < 2 || words[0] != "--" || !words[1].starts_with('/')) {
    plugind::keeper::Log("error",
                         "usage: plugind-keeper [--lock-fd N] -- /path/to/plugind [ARGUMENT…]");
    return kUsage;
  }
  words.erase(words.begin());
  TidyFds(lock_fd);
  const plugind::SystemClock clock;
  plugind::keeper::KeeperProgram program(std::move(words), clock);
  return program.Run();
}
