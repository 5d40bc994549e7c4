#include "daemon/keeper/restart_delay.h"

#include <gtest/gtest.h>

namespace plugind::keeper {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

TEST(RestartDelayTest, StartsAtOnceThenDoublesFrom100MillisecondsTo5Seconds) {
  RestartDelay delay;
  for (const int expected : {0, 100, 200, 400, 800, 1600, 3200, 5000, 5000}) {
    EXPECT_EQ(delay.After({}), milliseconds(expected));
  }
}

TEST(RestartDelayTest, BeginsAnewAfterTenSecondsOfService) {
  RestartDelay delay;
  delay.After({});
  delay.After({});
  EXPECT_EQ(delay.After({true, seconds(9), false}), milliseconds(200));
  EXPECT_EQ(delay.After({true, seconds(10), false}), milliseconds(0));
  EXPECT_EQ(delay.After({}), milliseconds(100));
}

TEST(RestartDelayTest, AKillFromOutsideIsNoFailureOnceItServed) {
  RestartDelay delay;
  for (int i = 0; i < 200; ++i) EXPECT_EQ(delay.After({true, milliseconds(1), true}), seconds(0));
  EXPECT_EQ(delay.After({false, {}, true}), milliseconds(100));
}

}  // namespace
}  // namespace plugind::keeper
