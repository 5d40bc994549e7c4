// Deadlines in order. Whoever owns the queue asks for Next(), sleeps until then, and calls
// RunDue(). Single-threaded: it belongs to its loop, or to a test that moves a FakeClock.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <unordered_map>

#include "daemon/base/clock.h"

namespace plugind {

class TimerQueue {
 public:
  using Id = uint64_t;  // 0 is never a timer

  Id At(Instant when, std::function<void()> callback);
  // No effect when the timer has run or was never set.
  void Cancel(Id id);
  std::optional<Instant> Next() const;
  // Runs what is due at `now`, in order of deadline. A callback may set and cancel timers; one that
  // it sets for a time already past runs in the next call, so that a callback cannot keep this one
  // going for ever.
  void RunDue(Instant now);

 private:
  using Key = std::pair<Instant, Id>;
  std::map<Key, std::function<void()>> timers_;
  std::unordered_map<Id, Instant> when_;
  Id last_ = 0;
};

// One deadline that is set, moved and dropped by its owner, and dropped with it.
class Deadline {
 public:
  explicit Deadline(TimerQueue& timers) : timers_(timers) {}
  ~Deadline() { Clear(); }
  Deadline(const Deadline&) = delete;
  Deadline& operator=(const Deadline&) = delete;

  void Set(Instant when, std::function<void()> callback);
  void Clear();
  bool armed() const { return id_ != 0; }

 private:
  TimerQueue& timers_;
  TimerQueue::Id id_ = 0;
};

}  // namespace plugind
