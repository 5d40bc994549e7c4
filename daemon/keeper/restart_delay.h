// How long to wait before plugind is started again. A pure function of its lives; no clock of its
// own.
//
// At once, then 100 ms doubling to 5 s. The count begins anew after a life in which plugind served
// for 10 s, or served at all and was killed from outside (SIGKILL): that says nothing about its own
// health, and whoever did it wants it back.
#pragma once

#include <algorithm>
#include <chrono>

#include "daemon/base/clock.h"

namespace plugind::keeper {

class RestartDelay {
 public:
  struct Life {
    bool served = false;  // it said Ready
    Duration serving{};   // from Ready to its end
    bool sigkilled = false;
  };

  Duration After(const Life& life) {
    if (life.served && (life.sigkilled || life.serving >= std::chrono::seconds(10))) next_ = {};
    const Duration delay = next_;
    next_ = std::clamp<Duration>(next_ * 2, kFirst, kLongest);
    return delay;
  }

 private:
  static constexpr Duration kFirst = std::chrono::milliseconds(100);
  static constexpr Duration kLongest = std::chrono::seconds(5);
  Duration next_{};
};

}  // namespace plugind::keeper
