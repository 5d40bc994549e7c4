// Quantiles of what was counted into buckets. Pure.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <span>

namespace plugind {

// The bucket that holds the `q` quantile (0.99: the 99th percentile) of all that `counts` holds:
// the first with which at least that share has been counted. counts.size() when they hold nothing.
inline size_t QuantileBucket(std::span<const uint64_t> counts, double q) {
  const uint64_t all = std::accumulate(counts.begin(), counts.end(), uint64_t{0});
  if (all == 0) return counts.size();
  const double wanted = std::ceil(q * static_cast<double>(all));
  uint64_t so_far = 0;
  for (size_t i = 0; i < counts.size(); ++i) {
    so_far += counts[i];
    if (counts[i] > 0 && static_cast<double>(so_far) >= wanted) return i;
  }
  return counts.size() - 1;
}

}  // namespace plugind
