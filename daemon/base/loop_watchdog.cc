#include "daemon/base/loop_watchdog.h"

#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <memory>
#include <utility>

namespace plugind {
namespace {

constexpr int kLooks = 4;

}  // namespace

LoopWatchdog::LoopWatchdog(EventLoop& loop, Duration limit, std::function<void()> stuck)
    : loop_(loop),
      stuck_(std::move(stuck)),
      end_(::eventfd(0, EFD_CLOEXEC)),
      thread_([this, pause = limit / kLooks] { Watch(pause); }) {}

LoopWatchdog::~LoopWatchdog() {
  const uint64_t one = 1;
  (void)!::write(end_.get(), &one, sizeof one);
  thread_.join();
}

void LoopWatchdog::Watch(Duration pause) {
  ::pthread_setname_np(::pthread_self(), "watchdog");
  // Shared with what is posted, which may never run, or later than all this.
  const auto turned = std::make_shared<std::atomic<bool>>(true);
  const timespec timeout{static_cast<time_t>(pause.count() / 1'000'000'000),
                         static_cast<long>(pause.count() % 1'000'000'000)};
  int missed = 0;
  for (;;) {
    if (turned->exchange(false)) {
      missed = 0;
      loop_.Post([turned] { turned->store(true); });
    } else if (++missed == kLooks) {
      return stuck_();
    }
    pollfd end{end_.get(), POLLIN, 0};
    if (::ppoll(&end, 1, &timeout, nullptr) > 0) return;
  }
}

}  // namespace plugind
