#include "sdk/cpp/src/lifeline.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>

#include <atomic>
#include <cerrno>

#include "sdk/cpp/src/failure.h"

namespace plugind::sdk {
namespace {

constexpr int kSignals[3] = {SIGTERM, SIGINT, SIGPIPE};
// Half of the lease of 2 s within which a plugin ends after its host. In ms; only where there are
// no pidfds: an old kernel, or a sandbox that forbids them.
constexpr int kParentCheck = 1000;

// A signal handler has nothing but globals to find its eventfd by.
std::atomic<int> g_stop{-1};
static_assert(std::atomic<int>::is_always_lock_free);

void OnTerminate(int) {
  const int saved = errno;
  const int fd = g_stop.load();
  if (fd >= 0) eventfd_write(fd, 1);
  errno = saved;
}

// SIGINT: Ctrl-C in the host's terminal reaches its whole process group, and the host then stops
// its plugins in order. SIGPIPE: a print to a host that is gone must not be what ends us. A
// handler, unlike SIG_IGN, is not inherited by programs that the plugin starts.
void DoNothing(int) {}

}  // namespace

Lifeline::Lifeline() : stop_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

Lifeline::~Lifeline() {
  for (int i = 0; i < 3; ++i) {
    if (taken_[i]) sigaction(kSignals[i], &previous_[i], nullptr);
  }
  int own = stop_.get();
  g_stop.compare_exchange_strong(own, -1);
}

void Lifeline::RequestStop() { eventfd_write(stop_.get(), 1); }

bool Lifeline::StopRequested() const {
  pollfd watched{stop_.get(), POLLIN, 0};
  return poll(&watched, 1, 0) > 0;
}

void Lifeline::Attach() {
  if (!stop_.valid()) throw ErrnoFailure(EMFILE, "eventfd");
  int none = -1;
  if (!g_stop.compare_exchange_strong(none, stop_.get())) {
    throw Failure("two plugins are being served in one process");
  }
  for (int i = 0; i < 3; ++i) {
    if (sigaction(kSignals[i], nullptr, &previous_[i]) != 0) throw ErrnoFailure(errno, "sigaction");
    if (previous_[i].sa_handler != SIG_DFL) continue;
    struct sigaction action {};
    action.sa_handler = kSignals[i] == SIGTERM ? OnTerminate : DoNothing;
    action.sa_flags = SA_RESTART;
    if (sigaction(kSignals[i], &action, nullptr) != 0) throw ErrnoFailure(errno, "sigaction");
    taken_[i] = true;
  }
  parent_pid_ = getppid();
  // 0: the parent is outside of our PID namespace.
  if (parent_pid_ > 0) {
    parent_.Reset(static_cast<int>(syscall(SYS_pidfd_open, parent_pid_, 0)));
  }
}

Lifeline::End Lifeline::Wait(int host_stdout) {
  // Of stdout only POLLERR is asked for, which needs no asking: the pipe has no reader any more.
  pollfd watched[3] = {{stop_.get(), POLLIN, 0},
                       {parent_.get(), POLLIN, 0},
                       {parent_pid_ == 0 ? host_stdout : -1, 0, 0}};
  const bool must_look = parent_pid_ > 0 && !parent_.valid();
  for (;;) {
    // A pidfd that was opened after the parent had died and its pid had gone to another shows in
    // getppid.
    if (getppid() != parent_pid_) return End::kOrphaned;
    const int ready = poll(watched, 3, must_look ? kParentCheck : -1);
    if (ready < 0) continue;  // EINTR; nothing else can happen to these three
    if (watched[0].revents != 0) return End::kAsked;
    if (watched[1].revents != 0 || watched[2].revents != 0) return End::kOrphaned;
  }
}

}  // namespace plugind::sdk
