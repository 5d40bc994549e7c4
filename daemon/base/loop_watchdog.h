// Notices that an event loop does not turn any more: a deadlock, an endless loop, a disk that does
// not answer. A thread of its own, because such a loop cannot say so; it wakes four times in
// `limit`. Owned by whoever owns the loop, and made and ended on the loop's thread.
//
// It counts its own looks and not the time: one that was stopped or suspended together with its
// loop gives that the same time again.
#pragma once

#include <functional>
#include <thread>

#include "daemon/base/clock.h"
#include "daemon/base/event_loop.h"
#include "daemon/base/unique_fd.h"

namespace plugind {

class LoopWatchdog {
 public:
  // `stuck` is called once, on the watchdog's thread, when nothing posted to `loop` has run for
  // `limit`, or up to a quarter longer. The loop outlives the watchdog, and need not be running
  // when that ends.
  LoopWatchdog(EventLoop& loop, Duration limit, std::function<void()> stuck);
  ~LoopWatchdog();
  LoopWatchdog(const LoopWatchdog&) = delete;
  LoopWatchdog& operator=(const LoopWatchdog&) = delete;

 private:
  void Watch(Duration pause);

  EventLoop& loop_;
  const std::function<void()> stuck_;
  const UniqueFd end_;
  std::thread thread_;
};

}  // namespace plugind
