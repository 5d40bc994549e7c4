#include "daemon/gateway/call_totals.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <tuple>

#include "daemon/base/quantile.h"

namespace plugind::gateway {
namespace {

void Add(CallTotals& to, const CallSeries& series) {
  // What has ended before what was admitted: a call that passes between the two reads shows as one
  // in flight, never as one that ended without having begun.
  for (size_t i = 0; i < to.ended.size(); ++i) to.ended[i] += series.ended[i].value();
  for (size_t i = 0; i < to.latency.size(); ++i) to.latency[i] += series.latency.count(i);
  to.latency_sum += series.latency.sum();
  to.admitted += series.admitted.value();
  to.request_bytes += series.request_bytes.value();
  to.response_bytes += series.response_bytes.value();
  to.resent += series.resent.value();
}

}  // namespace

uint64_t CallTotals::Ended() const {
  return std::accumulate(ended.begin(), ended.end(), uint64_t{0});
}

uint64_t CallTotals::InFlight() const {
  const uint64_t over = Ended();
  return admitted > over ? admitted - over : 0;
}

Duration CallTotals::Latency(double quantile) const {
  const size_t bucket = QuantileBucket(latency, quantile);
  if (bucket == latency.size()) return Duration::zero();
  return Histogram::UpperBound(std::min(bucket, Histogram::kBuckets - 2));
}

std::vector<CallTotals> AddUp(const std::function<void(const SeriesVisit&)>& each) {
  std::map<std::tuple<std::string_view, Caller::Kind, std::string_view>, CallTotals> sums;
  each([&sums](const CallSeries& series) {
    CallTotals& sum = sums[{series.plugin, series.kind, series.method}];
    if (sum.plugin.empty() && sum.method.empty()) {
      sum.plugin = series.plugin;
      sum.kind = series.kind;
      sum.method = series.method;
    }
    Add(sum, series);
  });
  std::vector<CallTotals> totals;
  totals.reserve(sums.size());
  for (auto& [key, sum] : sums) totals.push_back(std::move(sum));
  return totals;
}

}  // namespace plugind::gateway
