#include "daemon/base/loop_watchdog.h"

#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <optional>

namespace plugind {
namespace {

using std::chrono::milliseconds;

// Longer than a busy machine keeps a thread waiting.
constexpr Duration kLimit = milliseconds(1000);

class LoopWatchdogTest : public ::testing::Test {
 protected:
  void Start() {
    watchdog_.emplace(loop_, kLimit, [this] {
      ++stuck_;
      noticed_.set_value();
    });
  }

  SystemClock clock_;
  EventLoop loop_{clock_};
  std::atomic<int> stuck_ = 0;
  std::promise<void> noticed_;
  std::optional<LoopWatchdog> watchdog_;
};

TEST_F(LoopWatchdogTest, ALoopThatTurnsIsLeftAlone) {
  Start();
  const Instant end = clock_.Now() + 2 * kLimit;
  while (clock_.Now() < end) loop_.RunOnce(milliseconds(5));
  EXPECT_EQ(stuck_, 0);
}

TEST_F(LoopWatchdogTest, OneThatStandsStillIsNoticedOnceAndNotBeforeItsTime) {
  Start();
  const Instant begin = clock_.Now();
  noticed_.get_future().wait();
  EXPECT_GE(clock_.Now() - begin, kLimit);
  watchdog_.reset();
  EXPECT_EQ(stuck_, 1);
}

TEST_F(LoopWatchdogTest, ATurnNowAndThenIsEnough) {
  Start();
  for (int i = 0; i < 8; ++i) {
    std::this_thread::sleep_for(kLimit / 4);
    loop_.RunOnce(Duration::zero());
  }
  EXPECT_EQ(stuck_, 0);
}

TEST_F(LoopWatchdogTest, ItsEndWaitsForNoLook) {
  Start();
  const Instant begin = clock_.Now();
  watchdog_.reset();
  EXPECT_LT(clock_.Now() - begin, kLimit);
  loop_.RunOnce(Duration::zero());  // what it has posted may still run
  EXPECT_EQ(stuck_, 0);
}

}  // namespace
}  // namespace plugind
