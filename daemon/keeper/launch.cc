#include "daemon/keeper/launch.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/close_range.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <string>
#include <utility>
#include <vector>

namespace plugind::keeper {
namespace {

struct Pipe {
  UniqueFd read, write;
};

bool MakePipe(Pipe* pipe) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) < 0) return false;
  pipe->read = UniqueFd(ends[0]);
  pipe->write = UniqueFd(ends[1]);
  return true;
}

// All that the child needs, made before the fork so that it allocates nothing.
struct ChildPlan {
  const SpawnSpec& spec;
  const LaunchContext& context;
  char* const* argv;
  char* const* env;
  const gid_t* groups;
  int executable;  // -1: by path
  int out, err, failure;
};

[[noreturn]] void Fail(const ChildPlan& plan, SpawnStep step) {
  const LaunchFailure failure{step, errno};
  (void)!::write(plan.failure, &failure, sizeof failure);  // a pipe this empty takes it whole
  ::_exit(127);
}

// Closes all from 3 on but `first` and `second` (-1: none).
bool CloseOthers(int first, int second) {
  const int low = std::min(first, second);
  const int high = std::max(first, second);
  unsigned next = 3;
  for (const int keep : {low, high}) {
    if (keep < 0) continue;
    const auto fd = static_cast<unsigned>(keep);
    if (fd > next && ::syscall(SYS_close_range, next, fd - 1, 0) < 0) return false;
    next = fd + 1;
  }
  return ::syscall(SYS_close_range, next, ~0U, 0) == 0;
}

bool SetLimit(decltype(RLIMIT_CORE) which, rlimit limit) { return ::setrlimit(which, &limit) == 0; }

[[noreturn]] void RunChild(const ChildPlan& plan) {
  const SpawnSpec& spec = plan.spec;
  ResetSignals(plan.context);
  if (::setsid() < 0) Fail(plan, SpawnStep::kSession);
  if (::dup2(plan.context.dev_null.get(), STDIN_FILENO) < 0 ||
      ::dup2(plan.out, STDOUT_FILENO) < 0 || ::dup2(plan.err, STDERR_FILENO) < 0) {
    Fail(plan, SpawnStep::kStdio);
  }
  // Early: a child that hangs further down must not hold a sibling's failure_pipe open.
  if (!CloseOthers(plan.failure, plan.executable)) Fail(plan, SpawnStep::kCloseFds);
  const rlimit nofile =
      spec.nofile_limit == 0 ? plan.context.nofile : rlimit{spec.nofile_limit, spec.nofile_limit};
  if (!SetLimit(RLIMIT_NOFILE, nofile) ||
      !SetLimit(RLIMIT_CORE, rlimit{spec.core_limit, spec.core_limit})) {
    Fail(plan, SpawnStep::kLimits);
  }
  if (spec.identity) {
    const Identity& who = *spec.identity;
    if (::setgroups(who.groups.size(), plan.groups) < 0 ||
        ::setresgid(who.gid, who.gid, who.gid) < 0 || ::setresuid(who.uid, who.uid, who.uid) < 0) {
      Fail(plan, SpawnStep::kIdentity);
    }
  }
  if (!spec.working_directory.empty() && ::chdir(spec.working_directory.c_str()) < 0) {
    Fail(plan, SpawnStep::kWorkingDirectory);
  }
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) Fail(plan, SpawnStep::kNoNewPrivileges);
  // After setuid, which clears it.
  if (::prctl(PR_SET_PDEATHSIG, SIGKILL) < 0) Fail(plan, SpawnStep::kParentDeathSignal);
  if (::getppid() != plan.context.keeper) ::_exit(127);  // the keeper died before that
  if (plan.executable >= 0) {
    ::syscall(SYS_execveat, plan.executable, "", plan.argv, plan.env, AT_EMPTY_PATH);
  } else {
    ::execve(spec.path.c_str(), plan.argv, plan.env);
  }
  Fail(plan, SpawnStep::kExec);
}

// 0 in the child. Into `cgroup` when it is valid.
pid_t Fork(const UniqueFd& cgroup, UniqueFd* pidfd) {
  int fd = -1;
  clone_args args{};
  args.flags = CLONE_PIDFD | (cgroup.valid() ? CLONE_INTO_CGROUP : 0);
  args.pidfd = reinterpret_cast<uintptr_t>(&fd);
  args.exit_signal = SIGCHLD;
  args.cgroup = cgroup.valid() ? static_cast<uint64_t>(cgroup.get()) : 0;
  const long pid = ::syscall(SYS_clone3, &args, sizeof args);
  if (pid > 0) *pidfd = UniqueFd(fd);
  return static_cast<pid_t>(pid);
}

// For a kernel, or a seccomp filter, without clone3.
pid_t PlainFork(UniqueFd* pidfd) {
  const pid_t pid = ::fork();
  if (pid <= 0) return pid;
  *pidfd = UniqueFd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  return pid;
}

std::vector<char*> Pointers(const std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  pointers.reserve(strings.size() + 1);
  for (const std::string& s : strings) pointers.push_back(const_cast<char*>(s.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

}  // namespace

std::vector<int> IgnoredSignals() {
  std::vector<int> ignored;
  struct sigaction action {};
  for (int signal = 1; signal <= SIGRTMAX; ++signal) {
    // Fails for those that the C library keeps for itself.
    if (::sigaction(signal, nullptr, &action) == 0 && action.sa_handler == SIG_IGN) {
      ignored.push_back(signal);
    }
  }
  return ignored;
}

void ResetSignals(const LaunchContext& context) {
  struct sigaction action {};
  action.sa_handler = SIG_DFL;
  for (const int signal : context.ignored) ::sigaction(signal, &action, nullptr);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
}

std::optional<Launched> Launch(const SpawnSpec& spec, const UniqueFd& executable,
                               const UniqueFd& cgroup, const LaunchContext& context,
                               LaunchFailure* failure) {
  Pipe out, err, failed;
  if (!MakePipe(&out) || !MakePipe(&err) || !MakePipe(&failed) ||
      ::fcntl(failed.read.get(), F_SETFL, O_NONBLOCK) < 0) {
    *failure = {SpawnStep::kPipe, errno};
    return std::nullopt;
  }
  const std::vector<char*> argv = Pointers(spec.argv);
  const std::vector<char*> env = Pointers(spec.env);
  const ChildPlan plan{spec,
                       context,
                       argv.data(),
                       env.data(),
                       spec.identity ? spec.identity->groups.data() : nullptr,
                       executable.valid() ? executable.get() : -1,
                       out.write.get(),
                       err.write.get(),
                       failed.write.get()};
  Launched launched;
  launched.in_cgroup = cgroup.valid();
  pid_t pid = Fork(cgroup, &launched.pidfd);
  if (pid < 0) {
    launched.in_cgroup = false;
    pid = PlainFork(&launched.pidfd);
  }
  if (pid == 0) RunChild(plan);
  if (pid < 0 || !launched.pidfd.valid()) {
    *failure = {SpawnStep::kFork, errno};
    if (pid > 0) ::kill(pid, SIGKILL);  // no fd left to watch it by; it is reaped as an orphan is
    return std::nullopt;
  }
  launched.pid = pid;
  launched.stdout_pipe = std::move(out.read);
  launched.stderr_pipe = std::move(err.read);
  launched.failure_pipe = std::move(failed.read);
  return launched;
}

Progress ReadFailure(const UniqueFd& failure_pipe, LaunchFailure* failure) {
  const ssize_t size = ::read(failure_pipe.get(), failure, sizeof *failure);
  if (size < 0) return Progress::kUnderWay;
  return size == sizeof *failure ? Progress::kFailed : Progress::kExecuted;
}

}  // namespace plugind::keeper
