#include "daemon/base/timer_queue.h"

#include <utility>

namespace plugind {

TimerQueue::Id TimerQueue::At(Instant when, std::function<void()> callback) {
  const Id id = ++last_;
  timers_.emplace(Key(when, id), std::move(callback));
  when_.emplace(id, when);
  return id;
}

void TimerQueue::Cancel(Id id) {
  const auto it = when_.find(id);
  if (it == when_.end()) return;
  timers_.erase(Key(it->second, id));
  when_.erase(it);
}

std::optional<Instant> TimerQueue::Next() const {
  if (timers_.empty()) return std::nullopt;
  return timers_.begin()->first.first;
}

void TimerQueue::RunDue(Instant now) {
  const Id newest = last_;
  auto it = timers_.begin();
  while (it != timers_.end() && it->first.first <= now) {
    if (it->first.second > newest) {
      ++it;
      continue;
    }
    const Key key = it->first;
    auto callback = std::move(it->second);
    timers_.erase(it);
    when_.erase(key.second);
    callback();
    it = timers_.begin();  // the callback may have changed anything
  }
}

void Deadline::Set(Instant when, std::function<void()> callback) {
  Clear();
  id_ = timers_.At(when, [this, run = std::move(callback)] {
    id_ = 0;
    // A copy on the stack: the callback may set this deadline anew, or destroy its owner.
    const auto body = run;
    body();
  });
}

void Deadline::Clear() { timers_.Cancel(std::exchange(id_, 0)); }

}  // namespace plugind
