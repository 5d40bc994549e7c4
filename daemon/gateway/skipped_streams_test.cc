#include "daemon/gateway/skipped_streams.h"

#include <gtest/gtest.h>

namespace plugind::gateway {
namespace {

TEST(SkippedStreamsTest, AStreamThatWasPassedOverCannotBeOpened) {
  SkippedStreams streams;
  EXPECT_TRUE(streams.Begin(1));
  EXPECT_TRUE(streams.Begin(7));
  EXPECT_FALSE(streams.Begin(3));
  EXPECT_FALSE(streams.Begin(5));
  EXPECT_TRUE(streams.Begin(9));
  EXPECT_FALSE(streams.Begin(5));
}

TEST(SkippedStreamsTest, AStreamThatWasOpenedMayHaveTrailersLater) {
  SkippedStreams streams;
  EXPECT_TRUE(streams.Begin(3));
  EXPECT_TRUE(streams.Begin(5));
  EXPECT_TRUE(streams.Begin(3));
  EXPECT_TRUE(streams.Begin(5));
  EXPECT_FALSE(streams.Begin(1));
}

TEST(SkippedStreamsTest, TheFirstStreamMayBeTheLast) {
  constexpr int32_t kLast = 0x7fffffff;
  SkippedStreams streams;
  EXPECT_TRUE(streams.Begin(kLast));
  EXPECT_FALSE(streams.Begin(1));
  EXPECT_FALSE(streams.Begin(kLast - 2));
  EXPECT_TRUE(streams.Begin(kLast));
}

TEST(SkippedStreamsTest, TheLatestGapsAreRemembered) {
  SkippedStreams streams;
  for (int32_t stream = 1; stream < 1000; stream += 4) EXPECT_TRUE(streams.Begin(stream));
  EXPECT_FALSE(streams.Begin(995));
  EXPECT_FALSE(streams.Begin(983));
  EXPECT_TRUE(streams.Begin(997));
  EXPECT_TRUE(streams.Begin(979)) << "more than four gaps";
}

}  // namespace
}  // namespace plugind::gateway
