#include "daemon/base/quantile.h"

#include <gtest/gtest.h>

#include <vector>

namespace plugind {
namespace {

TEST(QuantileTest, IsTheBucketOfTheNearestRank) {
  const std::vector<uint64_t> counts = {0, 50, 40, 9, 1};  // 100 in all
  EXPECT_EQ(QuantileBucket(counts, 0.0), 1u);
  EXPECT_EQ(QuantileBucket(counts, 0.5), 1u);
  EXPECT_EQ(QuantileBucket(counts, 0.51), 2u);
  EXPECT_EQ(QuantileBucket(counts, 0.9), 2u);
  EXPECT_EQ(QuantileBucket(counts, 0.99), 3u);
  EXPECT_EQ(QuantileBucket(counts, 0.991), 4u);
  EXPECT_EQ(QuantileBucket(counts, 1.0), 4u);
}

TEST(QuantileTest, OfOneIsThatOne) {
  EXPECT_EQ(QuantileBucket(std::vector<uint64_t>{0, 0, 1}, 0.5), 2u);
  EXPECT_EQ(QuantileBucket(std::vector<uint64_t>{0, 0, 1}, 0.01), 2u);
}

TEST(QuantileTest, OfNothingIsNoBucket) {
  EXPECT_EQ(QuantileBucket(std::vector<uint64_t>{0, 0}, 0.5), 2u);
  EXPECT_EQ(QuantileBucket({}, 0.5), 0u);
}

}  // namespace
}  // namespace plugind
