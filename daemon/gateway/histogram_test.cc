#include "daemon/gateway/histogram.h"

#include <gtest/gtest.h>

namespace plugind::gateway {
namespace {

using std::chrono::hours;
using std::chrono::microseconds;
using std::chrono::nanoseconds;
using std::chrono::seconds;

TEST(HistogramTest, EveryBucketHoldsWhatLiesBelowItsBoundAndNotBelowTheOneBefore) {
  for (size_t bucket = 0; bucket + 1 < Histogram::kBuckets; ++bucket) {
    const Duration bound = Histogram::UpperBound(bucket);
    EXPECT_EQ(Histogram::Index(bound - nanoseconds(1)), bucket) << bound.count();
    EXPECT_EQ(Histogram::Index(bound), bucket + 1) << bound.count();
  }
}

TEST(HistogramTest, ABucketIsAtMostAQuarterWiderThanWhatItHolds) {
  for (size_t bucket = 1; bucket + 1 < Histogram::kBuckets; ++bucket) {
    const Duration lower = Histogram::UpperBound(bucket - 1);
    EXPECT_LE(Histogram::UpperBound(bucket) - lower, lower / Histogram::kSubBuckets);
  }
}

TEST(HistogramTest, EveryDoublingIsABoundOfItsOwn) {
  for (int doubling = 0; doubling <= Histogram::kDoublings; ++doubling) {
    EXPECT_EQ(Histogram::UpperBound(static_cast<size_t>(doubling) * Histogram::kSubBuckets),
              microseconds(1) * (int64_t{1} << doubling));
  }
}

TEST(HistogramTest, WhatIsOutOfRangeGoesIntoTheOuterBuckets) {
  EXPECT_EQ(Histogram::Index(nanoseconds(-5)), 0u);
  EXPECT_EQ(Histogram::Index(Duration::zero()), 0u);
  EXPECT_EQ(Histogram::Index(seconds(269)), Histogram::kBuckets - 1);
  EXPECT_EQ(Histogram::Index(hours(24 * 365)), Histogram::kBuckets - 1);
  EXPECT_EQ(Histogram::UpperBound(Histogram::kBuckets - 1), Duration::max());
}

TEST(HistogramTest, CountsAndAddsUpWhatItRecords) {
  Histogram histogram;
  histogram.Record(microseconds(3));
  histogram.Record(microseconds(3));
  histogram.Record(seconds(1));
  histogram.Record(nanoseconds(-7));  // a clock's fault adds nothing to the sum
  EXPECT_EQ(histogram.count(Histogram::Index(microseconds(3))), 2u);
  EXPECT_EQ(histogram.count(Histogram::Index(seconds(1))), 1u);
  EXPECT_EQ(histogram.count(0), 1u);
  EXPECT_EQ(histogram.sum(), seconds(1) + microseconds(6));
}

}  // namespace
}  // namespace plugind::gateway
