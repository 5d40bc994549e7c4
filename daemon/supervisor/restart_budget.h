// The whole daemon's allowance of automatic restarts: `per_second` of them, saved up to one
// second's worth. It keeps a machine usable when many plugins die together. First starts and
// operators' starts do not ask it. Pure.
#pragma once

#include <algorithm>
#include <cstdint>

#include "daemon/base/clock.h"

namespace plugind::supervisor {

class RestartBudget {
 public:
  // 0: no limit.
  void SetRate(uint32_t per_second) { per_second_ = per_second; }

  bool Take(Instant now) {
    if (per_second_ == 0) return true;
    const Duration each = std::chrono::nanoseconds(std::chrono::seconds(1)) / per_second_;
    const Instant earliest = now - std::chrono::seconds(1);
    next_ = std::max(next_, earliest);
    if (next_ + each > now) return false;
    next_ += each;
    return true;
  }
  // When Take() will next succeed.
  Instant NextAt() const {
    return per_second_ == 0
               ? next_
               : next_ + std::chrono::nanoseconds(std::chrono::seconds(1)) / per_second_;
  }

 private:
  uint32_t per_second_ = 10;
  Instant next_{};  // everything up to here has been spent
};

}  // namespace plugind::supervisor
