#include "daemon/gateway/spin.h"

#include <sched.h>

#include <thread>
#include <utility>

namespace plugind::gateway {
namespace {

constexpr Duration kRecent = std::chrono::milliseconds(2);  // "calls have just been passing"
constexpr uint32_t kMissesBeforeRest = 4;
constexpr Duration kRestAfterMisses = std::chrono::milliseconds(1);
// Away for so long between two polls: not for whom a call was passed on to, who soon waits again,
// but for somebody who computes.
constexpr Duration kDisplaced = std::chrono::microseconds(200);
constexpr Duration kRestAfterDisplaced = std::chrono::milliseconds(10);

}  // namespace

bool Spin::WorthWhile(Instant now) const {
  // With one processor there is nobody whose answer could come while this thread runs.
  static const bool alone = std::thread::hardware_concurrency() < 2;
  return bound_ > Duration::zero() && !alone && now - traffic_ <= kRecent && now >= rest_until_;
}

int Spin::Poll(const Clock& clock, const std::function<int()>& poll) {
  Instant now = clock.Now();
  if (!WorthWhile(now)) return 0;
  const Instant until = now + bound_;
  while (now < until) {
    // What was just sent has woken somebody, perhaps on this processor.
    ::sched_yield();
    if (const int found = poll(); found != 0) {
      misses_ = 0;
      return found;
    }
    const Instant before = std::exchange(now, clock.Now());
    if (now - before > kDisplaced) {
      Rest(now, kRestAfterDisplaced);
      return 0;
    }
  }
  if (++misses_ >= kMissesBeforeRest) Rest(now, kRestAfterMisses);
  return 0;
}

void Spin::Rest(Instant from, Duration length) {
  misses_ = 0;
  rest_until_ = from + length;
}

}  // namespace plugind::gateway
