#include "daemon/supervisor/restart_budget.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <vector>

namespace plugind::supervisor {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
const Instant kBegin(std::chrono::hours(1));

TEST(RestartBudgetTest, TenAtOnceAndTheEleventhAHundredMillisecondsLater) {
  RestartBudget budget;
  for (int i = 0; i < 10; ++i) EXPECT_TRUE(budget.Take(kBegin)) << i;
  EXPECT_FALSE(budget.Take(kBegin));
  EXPECT_EQ(budget.NextAt(), kBegin + milliseconds(100));
  EXPECT_FALSE(budget.Take(kBegin + milliseconds(100) - Duration(1)));
  EXPECT_TRUE(budget.Take(kBegin + milliseconds(100)));
  EXPECT_FALSE(budget.Take(kBegin + milliseconds(100)));
}

TEST(RestartBudgetTest, SavesUpNoMoreThanASecondsWorth) {
  RestartBudget budget;
  const Instant later = kBegin + std::chrono::hours(24);
  int taken = 0;
  while (budget.Take(later)) ++taken;
  EXPECT_EQ(taken, 10);
}

TEST(RestartBudgetTest, ZeroIsNoLimit) {
  RestartBudget budget;
  budget.SetRate(0);
  for (int i = 0; i < 1000; ++i) ASSERT_TRUE(budget.Take(kBegin));
}

TEST(RestartBudgetTest, ANewRateHoldsFromNowOn) {
  RestartBudget budget;
  budget.SetRate(1);
  EXPECT_TRUE(budget.Take(kBegin));
  EXPECT_FALSE(budget.Take(kBegin + milliseconds(999)));
  budget.SetRate(1000);
  EXPECT_TRUE(budget.Take(kBegin + milliseconds(999)));
}

RC_GTEST_PROP(RestartBudgetProperty, NeverMoreThanTheRateInASecondBeyondTheBurst, ()) {
  const auto rate = *rc::gen::inRange<uint32_t>(1, 50);
  RestartBudget budget;
  budget.SetRate(rate);
  Instant now = kBegin;
  std::vector<Instant> taken;
  for (const int pause : *rc::gen::container<std::vector<int>>(rc::gen::inRange(0, 400))) {
    now += milliseconds(pause);
    const int wishes = *rc::gen::inRange(0, 60);
    for (int i = 0; i < wishes; ++i) {
      if (budget.Take(now)) taken.push_back(now);
    }
  }
  for (size_t first = 0; first < taken.size(); ++first) {
    size_t last = first;
    while (last < taken.size() && taken[last] - taken[first] < seconds(1)) ++last;
    RC_ASSERT(last - first <= size_t{2} * rate);
  }
  // And over the whole time, a second's worth ahead at most.
  if (!taken.empty()) {
    const auto span = std::chrono::duration<double>(taken.back() - taken.front()).count();
    RC_ASSERT(static_cast<double>(taken.size()) <= rate * (span + 1.0) + 1.0);
  }
}

RC_GTEST_PROP(RestartBudgetProperty, WhoeverWaitsUntilItSaysIsServed, ()) {
  RestartBudget budget;
  budget.SetRate(*rc::gen::inRange<uint32_t>(1, 1000));
  Instant now = kBegin;
  for (int i = 0; i < 200; ++i) {
    if (budget.Take(now)) continue;
    const Instant next = budget.NextAt();
    RC_ASSERT(next > now);
    RC_ASSERT(next - now <= seconds(1));
    RC_ASSERT(!budget.Take(next - Duration(1)));
    RC_ASSERT(budget.Take(next));
    now = next + milliseconds(*rc::gen::inRange(0, 20));
  }
}

}  // namespace
}  // namespace plugind::supervisor
