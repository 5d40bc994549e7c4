#include "daemon/observe/denial_tally.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

namespace plugind::observe {
namespace {

Denial From(const std::string& caller, const std::string& method) {
  return {caller, 42, method, "kv", "no"};
}

uint64_t Sum(const std::vector<DenialTally::Line>& lines) {
  uint64_t sum = 0;
  for (const auto& line : lines) sum += line.repeated == 0 ? 1 : line.repeated;
  return sum;
}

TEST(DenialTallyTest, TheFirstOfAKindIsALineAndEqualOnesAreCounted) {
  DenialTally tally;
  EXPECT_TRUE(tally.Add(From("uid:1", "/a/B")));
  for (int i = 0; i < 41; ++i) EXPECT_FALSE(tally.Add(From("uid:1", "/a/B")));
  EXPECT_TRUE(tally.Add(From("uid:1", "/a/C")));
  const auto firsts = tally.TakeFirsts();
  ASSERT_EQ(firsts.size(), 2U);
  EXPECT_EQ(firsts[0].repeated, 0U);
  const auto all = tally.TakeAll();
  ASSERT_EQ(all.size(), 1U);
  EXPECT_EQ(all[0].repeated, 41U);
  EXPECT_EQ(all[0].denial.method, "/a/B");
  EXPECT_EQ(all[0].denial.pid, 42);
}

TEST(DenialTallyTest, AfterASummaryAllKindsAreNew) {
  DenialTally tally;
  tally.Add(From("uid:1", "/a/B"));
  EXPECT_EQ(tally.TakeAll().size(), 1U);
  EXPECT_TRUE(tally.TakeAll().empty());
  EXPECT_TRUE(tally.Add(From("uid:1", "/a/B")));
}

TEST(DenialTallyTest, FirstsThatNobodyTookComeWithTheSummary) {
  DenialTally tally;
  for (int i = 0; i < 3; ++i) tally.Add(From("uid:1", "/a/B"));
  const auto all = tally.TakeAll();
  ASSERT_EQ(all.size(), 2U);
  EXPECT_EQ(all[0].repeated, 0U);
  EXPECT_EQ(all[1].repeated, 2U);
}

TEST(DenialTallyTest, ACallerThatMakesUpKindsHidesNobodyElsesAndNoneIsLost) {
  DenialTally tally;
  for (int i = 0; i < 10000; ++i) tally.Add(From("uid:1", "/a/M" + std::to_string(i)));
  EXPECT_TRUE(tally.Add(From("uid:2", "/a/B")));
  const auto lines = tally.TakeAll();
  EXPECT_EQ(lines.size(), DenialTally::kKindsOfACaller + 2);
  EXPECT_EQ(Sum(lines), 10001U);
}

TEST(DenialTallyTest, ManyCallersAreBoundedTooAndNoneIsLost) {
  DenialTally tally;
  for (int caller = 0; caller < 1000; ++caller) {
    for (int i = 0; i < 20; ++i) {
      tally.Add(From("uid:" + std::to_string(caller), "/a/M" + std::to_string(i)));
    }
  }
  const auto lines = tally.TakeAll();
  EXPECT_LE(lines.size(), 2 * DenialTally::kKinds);
  EXPECT_EQ(Sum(lines), 20000U);
}

TEST(DenialTallyTest, ThreadsLoseNothing) {
  DenialTally tally;
  std::atomic<uint64_t> sum = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 5000; ++i) {
        tally.Add(From("uid:" + std::to_string(t % 2), "/a/M" + std::to_string(i % 30)));
        if (i % 500 == 0) sum += Sum(tally.TakeAll());
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(sum + Sum(tally.TakeAll()), 20000U);
}

}  // namespace
}  // namespace plugind::observe
