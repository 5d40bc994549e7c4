// One thread's epoll loop: fds, deadlines, and work posted from other threads through an eventfd.
// It owns no fd that is watched on it. Everything but Post() and Stop() belongs to the thread that
// runs the loop.
//
// A round is: run due deadlines, run posted work, sleep until the next deadline or event, dispatch
// what is ready. An idle loop sleeps without a timeout and so causes no wake-ups.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <unordered_map>
#include <vector>

#include "daemon/base/clock.h"
#include "daemon/base/mutex.h"
#include "daemon/base/timer_queue.h"
#include "daemon/base/unique_fd.h"

namespace plugind {

class EventLoop {
 public:
  using FdCallback = std::function<void(uint32_t epoll_events)>;

  // `clock` outlives the loop. Dies with a message when the kernel refuses an epoll set: nothing
  // works without one.
  explicit EventLoop(const Clock& clock);
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;
  ~EventLoop();

  TimerQueue& timers() { return timers_; }
  const Clock& clock() const { return clock_; }

  // Calls `callback` while `fd` has any of `events` (EPOLLIN, …; level-triggered). Replaces an
  // earlier watch of `fd`.
  void Watch(int fd, uint32_t events, FdCallback callback);
  // Must come before the fd is closed. Safe from inside any callback: events already fetched for
  // `fd` are dropped.
  void Unwatch(int fd);

  // Runs `work` on the loop's thread, soon, in order of posting. Any thread.
  void Post(std::function<void()> work) PLUGIND_EXCLUDES(mutex_);
  // Ends Run() after the round that is under way. Any thread.
  void Stop();

  void Run();
  // One round that sleeps `longest` at most; for tests and for a final drain.
  void RunOnce(Duration longest);

 private:
  struct Registration {
    FdCallback callback;
    uint64_t generation;
  };

  void RunPosted() PLUGIND_EXCLUDES(mutex_);
  void Round(const Duration* longest);

  const Clock& clock_;
  TimerQueue timers_;
  UniqueFd epoll_;
  UniqueFd wake_;
  std::unordered_map<int, std::shared_ptr<Registration>>
      watched_;  // shared: a callback may unwatch itself
  uint64_t generation_ = 0;
  bool stopping_ = false;

  Mutex mutex_;
  std::vector<std::function<void()>> posted_ PLUGIND_GUARDED_BY(mutex_);
};

}  // namespace plugind
