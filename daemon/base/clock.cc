#include "daemon/base/clock.h"

#include <ctime>

namespace plugind {
namespace {

Duration Read(clockid_t id) {
  timespec now{};
  ::clock_gettime(id, &now);
  return std::chrono::seconds(now.tv_sec) + std::chrono::nanoseconds(now.tv_nsec);
}

}  // namespace

Instant SystemClock::Now() const { return Instant(Read(CLOCK_MONOTONIC)); }
WallTime SystemClock::WallNow() const { return WallTime(Read(CLOCK_REALTIME)); }

}  // namespace plugind
