// Calls that have ended, in plugind's log: those that the gateway itself ended without an answer as
// trouble, every other one for whoever debugs; each with its trace's id. Bounded: what is left out
// is counted and told.
//
// Owned by Daemon. Told on the gateway's threads, which decide whether there is anything to say; it
// is said on the loop.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>

#include "daemon/base/event_loop.h"
#include "daemon/base/mutex.h"
#include "daemon/gateway/shared.h"
#include "daemon/observe/daemon_log.h"

namespace plugind {

class CallLog {
 public:
  static constexpr uint32_t kLinesPerSecond = 50;  // of trouble
  static constexpr uint32_t kWaitingLines = 1000;  // for the loop, of all others

  // `log`: the one in force; asked on the loop. All outlive it.
  CallLog(EventLoop& loop, std::function<observe::Logger&()> log);

  // As the log's own: what would not be written is not told to the loop either. Any thread.
  void SetLevel(observe::Level level) { level_.store(level, std::memory_order_relaxed); }
  // Any thread.
  void Ended(const gateway::CallEnd& end) {
    const observe::Level importance = Importance(end.outcome);
    if (importance >= level_.load(std::memory_order_relaxed)) Tell(importance, end);
  }

 private:
  static observe::Level Importance(gateway::Outcome outcome);
  void Tell(observe::Level importance, const gateway::CallEnd& end);
  // False: there is no room. *first: it is the first one left out since that was told.
  bool TakeRoom(observe::Level importance, bool* first) PLUGIND_EXCLUDES(mutex_);
  void GiveBackRoom(observe::Level importance) PLUGIND_EXCLUDES(mutex_);
  void TellLeftOut() PLUGIND_EXCLUDES(mutex_);

  EventLoop& loop_;
  const std::function<observe::Logger&()> log_;
  std::atomic<observe::Level> level_{observe::Level::kInfo};
  Deadline report_;

  Mutex mutex_;
  Instant second_ PLUGIND_GUARDED_BY(mutex_);  // its beginning
  uint32_t lines_ PLUGIND_GUARDED_BY(mutex_) = 0;
  uint32_t waiting_ PLUGIND_GUARDED_BY(mutex_) = 0;
  uint64_t left_out_ PLUGIND_GUARDED_BY(mutex_) = 0;
};

}  // namespace plugind
