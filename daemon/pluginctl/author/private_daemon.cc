#include "daemon/pluginctl/author/private_daemon.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <string_view>
#include <system_error>
#include <vector>

#include "daemon/base/status.h"

extern char** environ;

namespace plugind::pluginctl {
namespace {

std::vector<char*> Pointers(std::vector<std::string>& words) {
  std::vector<char*> pointers;
  for (std::string& word : words) pointers.push_back(word.data());
  pointers.push_back(nullptr);
  return pointers;
}

// Without what another plugind or a service manager meant for this process alone.
std::vector<std::string> CleanEnvironment() {
  constexpr std::array<std::string_view, 3> kOurs = {"PLUGIND_", "PLUGIN_", "NOTIFY_SOCKET="};
  std::vector<std::string> kept;
  for (char** each = environ; *each != nullptr; ++each) {
    const std::string_view entry(*each);
    bool ours = false;
    for (const std::string_view prefix : kOurs) ours = ours || entry.starts_with(prefix);
    if (!ours) kept.emplace_back(entry);
  }
  return kept;
}

// Between fork and exec in a process with threads: system calls only.
[[noreturn]] void Become(pid_t parent, int log, char** argv, char** environment) {
  setsid();
  prctl(PR_SET_PDEATHSIG, SIGTERM);
  if (getppid() != parent) _exit(1);  // it died before the line above
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  std::signal(SIGINT, SIG_DFL);
  std::signal(SIGPIPE, SIG_DFL);
  const int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
  dup2(null, STDIN_FILENO);
  dup2(log, STDOUT_FILENO);
  dup2(log, STDERR_FILENO);
  execve(argv[0], argv, environment);
  constexpr std::string_view kFailed = "cannot execute plugind\n";
  (void)!write(STDERR_FILENO, kFailed.data(), kFailed.size());
  _exit(127);
}

}  // namespace

absl::StatusOr<std::string> FindPlugind() {
  std::error_code error;
  const std::filesystem::path self = std::filesystem::read_symlink("/proc/self/exe", error);
  if (error) return ErrnoError(error.value(), "cannot read /proc/self/exe");
  const std::filesystem::path folder = self.parent_path();
  // As root's own program it may lie in sbin.
  const std::array<std::string, 2> places = {(folder / "plugind").string(),
                                             (folder.parent_path() / "sbin" / "plugind").string()};
  for (const std::string& place : places) {
    if (access(place.c_str(), X_OK) == 0) return place;
  }
  return Error(absl::StatusCode::kNotFound,
               "there is no plugind at {} nor at {}: the installation is incomplete", places[0],
               places[1]);
}

absl::StatusOr<PrivateDaemon> PrivateDaemon::Start(const std::string& plugind,
                                                   const std::string& folder) {
  const std::string log_path = folder + "/plugind.log";
  const UniqueFd log(open(log_path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
  if (!log.valid()) return ErrnoError(errno, "cannot write " + log_path);
  std::vector<std::string> words = {plugind,         "--config",    folder + "/c/plugind.toml",
                                    "--runtime-dir", folder + "/r", "--state-dir",
                                    folder + "/s"};
  std::vector<std::string> entries = CleanEnvironment();
  const std::vector<char*> argv = Pointers(words);
  const std::vector<char*> environment = Pointers(entries);
  const pid_t parent = getpid();
  const pid_t pid = fork();
  if (pid < 0) return ErrnoError(errno, "cannot start plugind");
  if (pid == 0) {
    Become(parent, log.get(), const_cast<char**>(argv.data()),
           const_cast<char**>(environment.data()));
  }
  UniqueFd pidfd(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
  if (!pidfd.valid()) {
    const int error = errno;
    kill(pid, SIGKILL);
    waitpid(pid, nullptr, 0);
    return ErrnoError(error, "cannot watch plugind");
  }
  return PrivateDaemon(pid, std::move(pidfd));
}

PrivateDaemon::~PrivateDaemon() {
  if (!pidfd_.valid()) return;
  kill(pid_, SIGKILL);
  Reap();
}

void PrivateDaemon::Stop() {
  if (!pidfd_.valid()) return;
  constexpr std::array<int, 3> kHarder = {SIGTERM, SIGINT, SIGKILL};
  kill(pid_, kHarder[static_cast<size_t>(stops_)]);
  if (stops_ < 2) ++stops_;
}

std::string PrivateDaemon::Reap() {
  pidfd_.reset();
  int status = 0;
  while (waitpid(pid_, &status, 0) < 0) {
    if (errno != EINTR) return "is gone";
  }
  if (WIFSIGNALED(status)) return fmt::format("was killed by signal {}", WTERMSIG(status));
  return fmt::format("ended with exit code {}", WEXITSTATUS(status));
}

}  // namespace plugind::pluginctl
