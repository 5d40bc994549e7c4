#include "daemon/keeper/keeper.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "daemon/keeper/log.h"
#include "daemon/keeper/proc.h"

namespace plugind::keeper {
namespace {

using std::chrono::seconds;

// How long the next start waits for spawns that are between fork and exec. One that takes longer (a
// hung file system) is handed over as it is.
constexpr Duration kSettle = seconds(1);
// A stop that was asked for and finds no plugind to do it for so long becomes the end of
// everything.
constexpr Duration kStopBound = seconds(30);
constexpr int kOsError = 71;  // EX_OSERR
// How long plugind may live after it has closed its socket.
constexpr Duration kHangUpBound = seconds(10);
// How long the end waits for processes that do not die of SIGKILL.
constexpr Duration kEndBound = seconds(5);

sigset_t HandledSignals() {
  sigset_t set;
  ::sigemptyset(&set);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGCHLD}) ::sigaddset(&set, signal);
  return set;
}

UniqueFd BlockSignals() {
  struct sigaction action {};
  action.sa_handler = SIG_DFL;
  action.sa_flags = SA_NOCLDSTOP;
  ::sigaction(SIGCHLD, &action,
              nullptr);  // ignored by whoever started us, it would reap our children
  action.sa_handler = SIG_IGN;
  ::sigaction(SIGPIPE, &action, nullptr);
  const sigset_t set = HandledSignals();
  ::sigprocmask(SIG_SETMASK, &set, nullptr);
  return UniqueFd(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
}

LaunchContext MakeLaunchContext() {
  LaunchContext context;
  context.keeper = ::getpid();
  context.dev_null = UniqueFd(::open("/dev/null", O_RDWR | O_CLOEXEC));
  ::getrlimit(RLIMIT_NOFILE, &context.nofile);
  rlimit own = context.nofile;
  own.rlim_cur = own.rlim_max;  // three fds a process, and what plugind has it keep
  ::setrlimit(RLIMIT_NOFILE, &own);
  context.ignored = IgnoredSignals();
  return context;
}

}  // namespace

KeeperProgram::KeeperProgram(std::vector<std::string> command, const Clock& clock)
    : command_(std::move(command)),
      signals_(BlockSignals()),
      launch_(MakeLaunchContext()),
      loop_(clock),
      cgroup_(::getenv("PLUGIND_NO_CGROUP") != nullptr ? nullptr : Cgroup::Create()),
      processes_(loop_, launch_, cgroup_.get()),
      start_(loop_.timers()),
      stop_bound_(loop_.timers()),
      hung_up_(loop_.timers()) {
  if (cgroup_) will_.emplace(*cgroup_);
  ::prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
  loop_.Watch(signals_.get(), EPOLLIN, [this](uint32_t) { OnSignals(); });
  processes_.OnChanged([this] {
    if (session_) session_->Flush();
    StartWhenSettled();
  });
}

KeeperProgram::~KeeperProgram() { loop_.Unwatch(signals_.get()); }

int KeeperProgram::Run() {
  Start();
  loop_.Run();
  KillEverything();
  return exit_code_;
}

void KeeperProgram::Start() {
  brain_ = std::make_unique<Brain>(command_, launch_);
  if (!brain_->valid()) {
    Log("error", std::string("cannot start plugind: ") + std::strerror(errno));
    brain_.reset();
    return has_served_ ? StartAfter(delay_.After({})) : End(kOsError);
  }
  phase_ = Phase::kAlive;
  processes_.SetBrain(brain_->pid());
  loop_.Watch(brain_->pidfd().get(), EPOLLIN, [this](uint32_t) { OnBrainDeath(); });
  Welcome welcome;
  welcome.stopping = stopping_;
  welcome.generation = generation_++;
  if (cgroup_) welcome.cgroup = cgroup_->path();
  stop_signal_ = 0;  // the greeting tells
  session_ = std::make_unique<Session>(
      brain_->TakeSocket(), loop_, processes_, vault_, std::move(welcome),
      Session::Callbacks{[this] { OnReady(); }, [this] { stopping_ = true; },
                         [this] { OnSocketClosed(); }});
  session_->Flush();
}

void KeeperProgram::OnSocketClosed() {
  // It is ending, most likely: its exit code must not be made a signal. Otherwise nothing can be
  // told it any more.
  hung_up_.Set(loop_.clock().Now() + kHangUpBound, [this] { brain_->Signal(SIGKILL); });
}

void KeeperProgram::OnReady() {
  has_served_ = true;
  if (phase_ != Phase::kAlive) return;  // said twice, or by one that is dead by now
  phase_ = Phase::kServing;
  serving_since_ = loop_.clock().Now();
  stop_bound_.Clear();
  if (std::exchange(hangup_, false)) brain_->Signal(SIGHUP);
  if (stop_signal_ != 0) brain_->Signal(stop_signal_);
}

void KeeperProgram::OnBrainDeath() {
  if (phase_ == Phase::kEnded) return;
  const Instant now = loop_.clock().Now();
  RestartDelay::Life life{phase_ == Phase::kServing, now - serving_since_, false};
  loop_.Unwatch(brain_->pidfd().get());
  const ExitStatus status = brain_->Reap();
  const int pid = brain_->pid();
  processes_.SetBrain(0);
  brain_.reset();
  hung_up_.Clear();
  phase_ = Phase::kDead;
  session_->Drain();
  session_.reset();
  processes_.ReapOrphans();

  const int code = status.signal == 0 ? status.code : 128 + status.signal;
  if (!has_served_ || (stopping_ && status.signal == 0)) return End(code);

  life.sigkilled = status.signal == SIGKILL;
  const Duration delay = delay_.After(life);
  Log("warn", "plugind (pid " + std::to_string(pid) + ") ended: " + ToString(status) +
                  "; it is started again in " + std::to_string(delay.count() / 1'000'000) + " ms");
  if (stopping_ && !stop_bound_.armed()) stop_bound_.Set(now + kStopBound, [this] { End(1); });
  StartAfter(delay);
}

void KeeperProgram::StartAfter(Duration delay) {
  const Instant now = loop_.clock().Now();
  phase_ = Phase::kWaiting;
  start_at_ = now + delay;
  settle_until_ = std::max(start_at_, now + kSettle);
  StartWhenSettled();
}

void KeeperProgram::StartWhenSettled() {
  if (phase_ != Phase::kWaiting) return;
  const Instant now = loop_.clock().Now();
  const bool settled = now >= settle_until_ || !processes_.AnyStarting();
  if (settled && now >= start_at_) {
    start_.Clear();
    return Start();
  }
  start_.Set(settled ? start_at_ : settle_until_, [this] { StartWhenSettled(); });
}

void KeeperProgram::OnSignals() {
  signalfd_siginfo info{};
  while (::read(signals_.get(), &info, sizeof info) == sizeof info) {
    const int signal = static_cast<int>(info.ssi_signo);
    if (signal == SIGCHLD) {
      processes_.ReapOrphans();
    } else if (signal == SIGTERM || signal == SIGINT) {
      StopRequested(signal);
    } else if (phase_ == Phase::kServing) {
      brain_->Signal(signal);
    } else if (signal == SIGHUP) {
      hangup_ = true;
    }
  }
}

void KeeperProgram::StopRequested(int signal) {
  if (phase_ == Phase::kEnded) return;
  if (phase_ == Phase::kServing) {
    stopping_ = true;
    return brain_->Signal(signal);
  }
  // The second time, with nobody there to do it in an orderly way.
  if (stopping_) return End(128 + signal);
  stopping_ = true;
  stop_signal_ = signal;  // for one that is starting; a later one is told in its greeting
  stop_bound_.Set(loop_.clock().Now() + kStopBound, [this] { End(1); });
}

void KeeperProgram::End(int code) {
  phase_ = Phase::kEnded;
  exit_code_ = code;
  loop_.Stop();
}

void KeeperProgram::KillEverything() {
  // Whatever descends from this process, whether it can be attributed to a plugin or not. The loop
  // is over: this is all that is left to do, and it is bounded.
  const Instant give_up = loop_.clock().Now() + kEndBound;
  for (;;) {
    if (cgroup_) cgroup_->KillAll();
    for (const Descendant& d : WithDescendants(ChildrenOf(::getpid()))) KillDescendant(d);
    while (::waitpid(-1, nullptr, WNOHANG) > 0) continue;
    if (::waitpid(-1, nullptr, WNOHANG) < 0 && errno == ECHILD) return;
    if (loop_.clock().Now() >= give_up) return Log("error", "some processes do not die of SIGKILL");
    pollfd dead{signals_.get(), POLLIN, 0};
    ::poll(&dead, 1, 10);
    signalfd_siginfo info{};
    while (::read(signals_.get(), &info, sizeof info) > 0) continue;
  }
}

}  // namespace plugind::keeper
