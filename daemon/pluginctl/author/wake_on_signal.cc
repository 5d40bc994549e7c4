#include "daemon/pluginctl/author/wake_on_signal.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <utility>

namespace plugind::pluginctl {
namespace {

// A handler has no other way to know.
volatile std::sig_atomic_t wake_fd = -1;

extern "C" void Wake(int) {
  const int error = errno;
  const uint64_t one = 1;
  (void)!write(wake_fd, &one, sizeof(one));
  errno = error;
}

}  // namespace

WakeOnSignal::WakeOnSignal(EventLoop& loop, std::function<void()> callback)
    : loop_(loop), wake_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  wake_fd = wake_.get();
  loop_.Watch(wake_.get(), EPOLLIN, [this, callback = std::move(callback)](uint32_t) {
    uint64_t count = 0;
    (void)!read(wake_.get(), &count, sizeof(count));
    callback();
  });
  struct sigaction action {};
  action.sa_handler = Wake;
  action.sa_flags = SA_RESTART;
  for (size_t i = 0; i < kSignals.size(); ++i) {
    sigaction(kSignals[i], nullptr, &before_[i]);
    // What a shell's background job or nohup ignores stays ignored.
    if (before_[i].sa_handler != SIG_IGN) sigaction(kSignals[i], &action, nullptr);
  }
}

WakeOnSignal::~WakeOnSignal() {
  for (size_t i = 0; i < kSignals.size(); ++i) sigaction(kSignals[i], &before_[i], nullptr);
  loop_.Unwatch(wake_.get());
  wake_fd = -1;
}

}  // namespace plugind::pluginctl
