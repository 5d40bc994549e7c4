#include "daemon/keeper/last_will.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <string>

#include "daemon/keeper/log.h"

namespace plugind::keeper {
namespace {

[[noreturn]] void Wait(int life, int directory) {
  constexpr int kLife = 3;
  constexpr int kDirectory = 4;
  // Ctrl-C and the like are for the keeper.
  sigset_t all;
  ::sigfillset(&all);
  ::sigprocmask(SIG_SETMASK, &all, nullptr);
  ::setsid();
  ::prctl(PR_SET_NAME, "plugind-will");
  // Out of the way of the two places first: either fd may lie on the other's.
  const int own_life = ::fcntl(life, F_DUPFD, kDirectory + 1);
  const int own_directory = ::fcntl(directory, F_DUPFD, kDirectory + 1);
  ::dup2(own_life, kLife);
  ::dup2(own_directory, kDirectory);
  for (const int standard : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) ::close(standard);
  ::syscall(SYS_close_range, kDirectory + 1, ~0U, 0);
  char byte = 0;
  while (::read(kLife, &byte, 1) < 0 && errno == EINTR) {
  }
  // After an orderly end the directory is gone, and so is everything that was in it.
  const int kill = ::openat(kDirectory, "cgroup.kill", O_WRONLY | O_CLOEXEC);
  if (kill >= 0) (void)!::write(kill, "1", 1);
  ::_exit(0);
}

}  // namespace

LastWill::LastWill(const Cgroup& cgroup) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) == 0) {
    const UniqueFd watched(ends[0]);
    life_ = UniqueFd(ends[1]);
    const UniqueFd directory(::open(cgroup.path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    const pid_t pid = directory.valid() ? ::fork() : -1;
    if (pid == 0) {
      // By way of a child that ends at once: it is to be nobody's child here, and no orphan either.
      if (::fork() == 0) Wait(watched.get(), directory.get());
      ::_exit(0);
    }
    if (pid > 0) {
      ::waitpid(pid, nullptr, 0);
      return;
    }
  }
  Log("warn", std::string("nobody will kill what outlives this keeper: ") + std::strerror(errno));
  life_.reset();
}

}  // namespace plugind::keeper
