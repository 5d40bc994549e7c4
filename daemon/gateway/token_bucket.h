// So many of something at once, and so many a second in the long run.
#pragma once

#include <algorithm>

#include "daemon/base/clock.h"

namespace plugind::gateway {

class TokenBucket {
 public:
  TokenBucket(double burst, double per_second, Instant now)
      : burst_(burst), per_second_(per_second), left_(burst), at_(now) {}

  // False: that is too many.
  bool Take(Instant now) {
    left_ =
        std::min(burst_, left_ + std::chrono::duration<double>(now - at_).count() * per_second_);
    at_ = now;
    if (left_ < 1) return false;
    left_ -= 1;
    return true;
  }

 private:
  const double burst_;
  const double per_second_;
  double left_;
  Instant at_;
};

}  // namespace plugind::gateway
