// What passes through the gateway, worked out from one or two answers of ListCalls: rates, errors,
// quantiles. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "plugind/control/v1/control.pb.h"

namespace plugind::pluginctl {

namespace v1 = ::plugind::control::v1;

struct TrafficRow {
  std::string plugin;
  std::string caller, method;  // only where rows are by method: "user" or "plugin"
  // Within the time that the row is about; in flight: now.
  uint64_t started = 0, in_flight = 0;
  uint64_t ok = 0, error = 0, rejected = 0, cancelled = 0, deadline_exceeded = 0;
  uint64_t unavailable_not_executed = 0, unavailable_maybe_executed = 0;
  uint64_t request_bytes = 0, response_bytes = 0, resent = 0;
  std::optional<double> p50, p90, p99;  // seconds; absent when no call has ended

  uint64_t Ended() const;
  uint64_t Unavailable() const { return unavailable_not_executed + unavailable_maybe_executed; }
  // Of those that ended; what its caller gave up is no failure. Absent when none ended.
  std::optional<double> FailedShare() const;
};

struct Traffic {
  double seconds = 0;            // that the rows are about
  bool since_start = false;      // of counting: there was nothing to compare with
  std::vector<TrafficRow> rows;  // most calls first, then by name

  double PerSecond(uint64_t count) const;
};

// What happened between the two answers; `before` null, or of another process of plugind, whose
// counters began anew: since the start of counting.
Traffic Compare(const v1::ListCallsResponse* before, const v1::ListCallsResponse& now,
                bool by_method);

// As protobuf JSON would have it (lowerCamelCase, every field), but with numbers that are numbers.
std::string TrafficJson(const Traffic& traffic, bool by_method);

}  // namespace plugind::pluginctl
