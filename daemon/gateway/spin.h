// Whether a gateway thread should poll for a little while before it sleeps. A sleep costs the next
// event a wake-up, about 20 µs; a poll costs a core that somebody else may want. So it polls only
// while calls have just been passing, while polling has been paying off, and while no other program
// waits for a processor. Owned by a Worker, on its thread.
#pragma once

#include <cstdint>

#include "daemon/base/clock.h"

namespace plugind::gateway {

class Spin {
 public:
  void SetBound(Duration bound) { bound_ = bound; }

  // How long to poll now; zero: sleep at once.
  Duration Budget(Instant now);
  // What came of it: an event was found within `bound`, or not.
  void Record(bool found, Instant now);
  // Calls are passing.
  void SawTraffic(Instant now) { traffic_ = now; }

 private:
  Duration bound_ = Duration::zero();
  Instant traffic_{};
  Instant looked_{};
  bool crowded_ = false;  // more runnable threads than processors, when last looked
  uint32_t misses_ = 0;   // in a row
  Instant rest_until_{};
};

}  // namespace plugind::gateway
