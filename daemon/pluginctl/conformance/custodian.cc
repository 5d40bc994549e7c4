#include "daemon/pluginctl/conformance/custodian.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <climits>
#include <cstdint>
#include <cstdlib>

namespace plugind::pluginctl::conformance {
namespace {

// Where they are once everything else is closed.
constexpr int kControl = 3;
constexpr int kNews = 4;
constexpr int kOut = 5;
constexpr int kErr = 6;
constexpr int kFirstOther = 7;

void Tell(News::What what, int value) {
  const News news{what, value};
  (void)!write(kNews, &news, sizeof(news));  // pluginctl may be gone
}

void ResetSignals() {
  struct sigaction initial {};
  initial.sa_handler = SIG_DFL;
  for (int signal = 1; signal < NSIG; ++signal) sigaction(signal, &initial, nullptr);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
}

// Each of `fds` becomes kControl and so on; whatever else was open is not. Moved out of the way
// first, because one may lie where another belongs.
void KeepOnly(std::array<int, 4> fds) {
  for (int& fd : fds) fd = fcntl(fd, F_DUPFD_CLOEXEC, 64);
  for (size_t i = 0; i < fds.size(); ++i) dup3(fds[i], kControl + static_cast<int>(i), O_CLOEXEC);
  syscall(SYS_close_range, kFirstOther, UINT_MAX, 0);
  // Whoever reads what pluginctl prints need not wait for this process.
  const int null = open("/dev/null", O_RDWR | O_CLOEXEC);
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) dup2(null, fd);
}

// `failure`: takes errno when there is no exec.
[[noreturn]] void RunPlugin(const Custody& custody, int failure) {
  setsid();
  ResetSignals();
  dup2(kOut, STDOUT_FILENO);
  dup2(kErr, STDERR_FILENO);
  if (chdir(custody.working_directory) == 0) {
    execve(custody.argv[0], const_cast<char* const*>(custody.argv),  // NOLINT: its signature
           const_cast<char* const*>(custody.environment));           // NOLINT
  }
  const int error = errno;
  (void)!write(failure, &error, sizeof(error));
  _exit(127);
}

// One of those whose parent this process is by now; 0: none, or /proc does not say.
pid_t SomeChild() {
  const int fd = open("/proc/thread-self/children", O_RDONLY | O_CLOEXEC);
  std::array<char, 32> text{};
  const ssize_t got = fd < 0 ? 0 : read(fd, text.data(), text.size() - 1);
  if (fd >= 0) close(fd);
  pid_t pid = 0;
  for (ssize_t i = 0; i < got && text[static_cast<size_t>(i)] >= '0'; ++i)
    pid = pid * 10 + (text[static_cast<size_t>(i)] - '0');
  return pid;
}

void KillAll(pid_t plugin, bool ended) {
  if (!ended) kill(-plugin, SIGKILL);
  // What is killed leaves its own children to this process, the subreaper.
  for (pid_t child = SomeChild(); child > 0; child = SomeChild()) {
    kill(child, SIGKILL);
    if (waitpid(child, nullptr, 0) < 0 && errno != EINTR) break;
  }
}

[[noreturn]] void RunCustodian(const Custody& custody) {
  setsid();
  ResetSignals();
  signal(SIGPIPE, SIG_IGN);
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  KeepOnly({custody.control, custody.news, custody.standard_output, custody.standard_error});

  std::array<int, 2> failure{};  // closed by a successful exec
  const pid_t plugin = pipe2(failure.data(), O_CLOEXEC) == 0 ? fork() : -1;
  if (plugin == 0) RunPlugin(custody, failure[1]);
  int error = errno;
  close(failure[1]);
  close(kOut);
  close(kErr);
  if (plugin < 0 || read(failure[0], &error, sizeof(error)) == sizeof(error)) {
    Tell(News::kNoStart, error);
    _exit(1);
  }
  close(failure[0]);
  Tell(News::kStarted, plugin);
  int pidfd = static_cast<int>(syscall(SYS_pidfd_open, plugin, 0));
  bool released = false;
  while (true) {
    std::array<pollfd, 2> fds = {pollfd{kControl, POLLIN, 0}, pollfd{pidfd, POLLIN, 0}};
    if (poll(fds.data(), fds.size(), -1) < 0) continue;
    if (fds[1].revents != 0) {
      int status = 0;
      waitpid(plugin, &status, 0);
      Tell(News::kEnded, status);
      pidfd = -1;  // of which poll() takes no notice
    }
    if (fds[0].revents != 0) {
      char byte = 0;
      const ssize_t got = read(kControl, &byte, 1);
      if (got == 1) released = true;
      if (got == 0) break;
    }
  }
  KillAll(plugin, pidfd < 0);
  if (released) _exit(0);
  const std::array<const char*, 5> remove = {"/bin/rm", "-rf", "--", custody.folder, nullptr};
  const std::array<const char*, 1> none = {nullptr};
  execve(remove[0], const_cast<char* const*>(remove.data()),  // NOLINT
         const_cast<char* const*>(none.data()));              // NOLINT
  _exit(1);
}

}  // namespace

pid_t ForkCustodian(const Custody& custody) {
  const pid_t pid = fork();
  if (pid == 0) RunCustodian(custody);
  return pid;
}

}  // namespace plugind::pluginctl::conformance
