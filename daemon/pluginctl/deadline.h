// Instants by which something has to be done. Monotonic, so that a jump of the wall clock moves
// none of them.
#pragma once

#include <grpc/support/time.h>

#include <chrono>

namespace plugind::pluginctl {

using Duration = std::chrono::nanoseconds;
using Deadline = std::chrono::steady_clock::time_point;

inline constexpr Deadline kNever = Deadline::max();

// Zero means without a limit, as it does for --timeout.
inline Deadline DeadlineAfter(Duration limit) {
  return limit == Duration::zero() ? kNever : std::chrono::steady_clock::now() + limit;
}

inline bool Passed(Deadline deadline) { return std::chrono::steady_clock::now() >= deadline; }

// steady_clock and gRPC's monotonic clock are the same clock.
inline gpr_timespec ToGrpc(Deadline deadline) {
  if (deadline == kNever) return gpr_inf_future(GPR_CLOCK_MONOTONIC);
  return gpr_time_from_nanos(deadline.time_since_epoch() / Duration(1), GPR_CLOCK_MONOTONIC);
}

}  // namespace plugind::pluginctl
