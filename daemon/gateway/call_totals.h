// The series of all gateway threads added up, as plain values: what metrics and `pluginctl top`
// show. Made by whoever asks, on any thread.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "daemon/gateway/call_stats.h"

namespace plugind::gateway {

struct CallTotals {
  std::string plugin;
  Caller::Kind kind = Caller::Kind::kUser;
  std::string method;

  uint64_t admitted = 0;
  std::array<uint64_t, kOutcomes.size()> ended{};  // by Outcome
  uint64_t request_bytes = 0;
  uint64_t response_bytes = 0;
  uint64_t resent = 0;
  std::array<uint64_t, Histogram::kBuckets> latency{};  // as Histogram's
  Duration latency_sum = Duration::zero();

  uint64_t Ended() const;
  uint64_t InFlight() const;
  // The upper bound of the bucket that holds it, at most a quarter too high; of what is beyond the
  // range, the range's end. Zero when nothing has ended.
  Duration Latency(double quantile) const;
};

using SeriesVisit = std::function<void(const CallSeries&)>;

// `each`: calls its argument with every series there is (Gateway::EachSeries). One for each plugin,
// kind of caller and method, in this order.
std::vector<CallTotals> AddUp(const std::function<void(const SeriesVisit&)>& each);

}  // namespace plugind::gateway
