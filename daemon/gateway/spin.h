// Whether a gateway thread should poll for a little while before it sleeps. A sleep costs the next
// event a wake-up, about 20 µs; a poll costs a processor that somebody else may want. So it polls
// only while calls have just been passing and polling has been paying off, and between two polls it
// yields: whoever waits for this processor has it at once, and if that is for long, polling rests.
// Owned by a Worker, on its thread.
#pragma once

#include <cstdint>
#include <functional>

#include "daemon/base/clock.h"

namespace plugind::gateway {

class Spin {
 public:
  // Zero: never.
  void SetBound(Duration bound) { bound_ = bound; }
  // Calls are passing.
  void SawTraffic(Instant now) { traffic_ = now; }

  // Calls `poll` until it finds something, which is returned, or polling is not worth while: 0.
  int Poll(const Clock& clock, const std::function<int()>& poll);

 private:
  bool WorthWhile(Instant now) const;
  void Rest(Instant from, Duration length);

  Duration bound_ = Duration::zero();
  Instant traffic_{};
  uint32_t misses_ = 0;  // in a row
  Instant rest_until_{};
};

}  // namespace plugind::gateway
