#include "daemon/base/timer_queue.h"

#include <gtest/gtest.h>

#include <vector>

namespace plugind {
namespace {

using std::chrono::seconds;

TEST(TimerQueueTest, RunsWhatIsDueInOrderOfDeadline) {
  TimerQueue timers;
  std::vector<int> ran;
  timers.At(Instant(seconds(2)), [&] { ran.push_back(2); });
  timers.At(Instant(seconds(1)), [&] { ran.push_back(1); });
  timers.At(Instant(seconds(3)), [&] { ran.push_back(3); });
  EXPECT_EQ(timers.Next(), Instant(seconds(1)));
  timers.RunDue(Instant(seconds(2)));
  EXPECT_EQ(ran, (std::vector<int>{1, 2}));
  EXPECT_EQ(timers.Next(), Instant(seconds(3)));
}

TEST(TimerQueueTest, ACallbackMayCancelALaterTimer) {
  TimerQueue timers;
  bool ran = false;
  const auto victim = timers.At(Instant(seconds(2)), [&] { ran = true; });
  timers.At(Instant(seconds(1)), [&] { timers.Cancel(victim); });
  timers.RunDue(Instant(seconds(5)));
  EXPECT_FALSE(ran);
  EXPECT_FALSE(timers.Next().has_value());
}

TEST(TimerQueueTest, ATimerSetForThePastByACallbackWaitsForTheNextRound) {
  TimerQueue timers;
  int runs = 0;
  std::function<void()> again = [&] {
    ++runs;
    timers.At(Instant(seconds(0)), again);
  };
  timers.At(Instant(seconds(1)), again);
  timers.RunDue(Instant(seconds(5)));
  EXPECT_EQ(runs, 1);
  timers.RunDue(Instant(seconds(5)));
  EXPECT_EQ(runs, 2);
}

TEST(DeadlineTest, IsDroppedWithItsOwnerAndMayBeSetFromItsOwnCallback) {
  TimerQueue timers;
  int runs = 0;
  {
    Deadline deadline(timers);
    deadline.Set(Instant(seconds(1)), [&] {
      ++runs;
      deadline.Set(Instant(seconds(2)), [&] { ++runs; });
    });
    timers.RunDue(Instant(seconds(1)));
    EXPECT_TRUE(deadline.armed());
  }
  timers.RunDue(Instant(seconds(9)));
  EXPECT_EQ(runs, 1);
}

}  // namespace
}  // namespace plugind
