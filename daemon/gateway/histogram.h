// A log-linear histogram of durations: four buckets for each doubling from 1 µs to 268 s, so that a
// quantile read from it is at most a quarter too high. Recording is one increment without a lock or
// a locked instruction: one thread records, any thread reads, and a reader may miss what is being
// recorded just then.
#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "daemon/base/clock.h"

namespace plugind::gateway {

// Written by one thread, read by any.
class Counter {
 public:
  void Add(uint64_t n) { value_.store(value() + n, std::memory_order_relaxed); }
  uint64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<uint64_t> value_{0};
};

class Histogram {
 public:
  static constexpr int kSubBuckets = 4;  // a power of two
  static constexpr int kDoublings = 28;  // above 1 µs
  // The first holds what is below 1 µs, the last what is beyond the range.
  static constexpr size_t kBuckets = size_t{kSubBuckets} * kDoublings + 2;

  void Record(Duration duration) {
    buckets_[Index(duration)].Add(1);
    sum_.Add(duration.count() > 0 ? static_cast<uint64_t>(duration.count()) : 0);
  }

  uint64_t count(size_t bucket) const { return buckets_[bucket].value(); }
  Duration sum() const { return Duration(static_cast<Duration::rep>(sum_.value())); }

  static constexpr size_t Index(Duration duration) {
    const auto ns = duration.count() > 0 ? static_cast<uint64_t>(duration.count()) : 0;
    // In quarters of a microsecond, the leading bit names the doubling and the next two the bucket.
    const uint64_t quarters = ns * kSubBuckets / 1000;
    if (quarters < kSubBuckets) return 0;
    const int doubling = static_cast<int>(std::bit_width(quarters)) - 3;  // 4 quarters: 0
    if (doubling >= kDoublings) return kBuckets - 1;
    const auto within = static_cast<size_t>(quarters >> doubling) - kSubBuckets;
    return 1 + static_cast<size_t>(doubling) * kSubBuckets + within;
  }
  // What falls into `bucket` is shorter than this; Duration::max() for the last.
  static constexpr Duration UpperBound(size_t bucket) {
    if (bucket == 0) return std::chrono::microseconds(1);
    if (bucket >= kBuckets - 1) return Duration::max();
    const size_t doubling = (bucket - 1) / kSubBuckets;
    const size_t within = (bucket - 1) % kSubBuckets;
    return Duration(static_cast<Duration::rep>((kSubBuckets + within + 1) << doubling) * 1000 /
                    kSubBuckets);
  }

 private:
  std::array<Counter, kBuckets> buckets_;
  Counter sum_;  // ns
};

}  // namespace plugind::gateway
