#include "daemon/keeper/brain.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "daemon/keeper/client.h"
#include "daemon/keeper/log.h"

namespace plugind::keeper {
namespace {

// A burst of reports, and the greeting, should fit; the queue behind it is the keeper's state.
constexpr int kSocketBytes = 1 << 20;

void Enlarge(int socket) {
  // The second needs no privilege, and is cut to the system's limit. Less room is slower, not
  // wrong.
  if (::setsockopt(socket, SOL_SOCKET, SO_SNDBUFFORCE, &kSocketBytes, sizeof kSocketBytes) < 0) {
    ::setsockopt(socket, SOL_SOCKET, SO_SNDBUF, &kSocketBytes, sizeof kSocketBytes);
  }
}

[[noreturn]] void RunChild(int socket, char* const* argv, char* const* env,
                           const LaunchContext& context) {
  ResetSignals(context);
  // A session of its own: what is typed at the keeper's terminal reaches plugind once, forwarded by
  // the keeper.
  ::setsid();
  if (socket == kSocketFd) {
    ::fcntl(socket, F_SETFD, 0);
  } else {
    ::dup2(socket, kSocketFd);
  }
  ::syscall(SYS_close_range, kSocketFd + 1, ~0U, 0);
  ::setrlimit(RLIMIT_NOFILE, &context.nofile);
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() == context.keeper) {
    ::execve(argv[0], argv, env);
    Log("error", std::string("cannot execute ") + argv[0] + ": " + std::strerror(errno));
  }
  ::_exit(127);
}

}  // namespace

Brain::Brain(const std::vector<std::string>& command, const LaunchContext& context) {
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) < 0) return;
  socket_ = UniqueFd(ends[0]);
  const UniqueFd theirs(ends[1]);
  Enlarge(ends[0]);
  Enlarge(ends[1]);

  std::vector<char*> argv;
  for (const std::string& word : command) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  std::string variable = std::string(kSocketVariable) + "=" + std::to_string(kSocketFd);
  std::vector<char*> env;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    if (!std::string_view(*entry).starts_with(std::string(kSocketVariable) + "=")) {
      env.push_back(*entry);
    }
  }
  env.push_back(variable.data());
  env.push_back(nullptr);

  pid_ = ::fork();
  if (pid_ == 0) RunChild(theirs.get(), argv.data(), env.data(), context);
  if (pid_ < 0) return;
  pidfd_ = UniqueFd(static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0)));
  if (!pidfd_.valid()) {
    ::kill(pid_, SIGKILL);  // nothing to watch it by; reaped as an orphan
  }
}

void Brain::Signal(int signal) const {
  ::syscall(SYS_pidfd_send_signal, pidfd_.get(), signal, nullptr, 0);
}

ExitStatus Brain::Reap() {
  siginfo_t info{};
  ::waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED);
  ExitStatus status;
  if (info.si_code == CLD_EXITED) {
    status.code = info.si_status;
  } else {
    status.signal = info.si_status;
    status.core = info.si_code == CLD_DUMPED;
  }
  return status;
}

}  // namespace plugind::keeper
