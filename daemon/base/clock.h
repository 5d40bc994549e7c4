// Time, as the only two kinds that this program knows: a monotonic instant, by which everything is
// scheduled, and the wall clock, which is only ever shown. Jumps of the wall clock therefore move
// no deadline.
#pragma once

#include <chrono>

namespace plugind {

using Duration = std::chrono::nanoseconds;

// CLOCK_MONOTONIC, which all processes of one boot share: an instant may be handed to a successor
// process.
struct MonotonicClock {
  using duration = Duration;
  using rep = duration::rep;
  using period = duration::period;
  using time_point = std::chrono::time_point<MonotonicClock>;
  static constexpr bool is_steady = true;
};
using Instant = MonotonicClock::time_point;
using WallTime = std::chrono::time_point<std::chrono::system_clock, Duration>;

class Clock {
 public:
  virtual ~Clock() = default;
  virtual Instant Now() const = 0;
  virtual WallTime WallNow() const = 0;
};

// The kernel's clocks. Thread-safe.
class SystemClock final : public Clock {
 public:
  Instant Now() const override;
  WallTime WallNow() const override;
};

// A clock that moves when a test says so. Not thread-safe.
class FakeClock final : public Clock {
 public:
  Instant Now() const override { return now_; }
  WallTime WallNow() const override { return wall_; }
  void Advance(Duration by) {
    now_ += by;
    wall_ += by;
  }
  void JumpWall(Duration by) { wall_ += by; }

 private:
  Instant now_{std::chrono::hours(1)};
  WallTime wall_{std::chrono::hours(24 * 365 * 50)};
};

}  // namespace plugind
