#include "daemon/gateway/call_stats.h"

#include <gtest/gtest.h>

#include <atomic>
#include <string>
#include <thread>

#include "daemon/gateway/call_totals.h"

namespace plugind::gateway {
namespace {

using std::chrono::microseconds;
using Kind = Caller::Kind;

constexpr auto kOk = static_cast<size_t>(Outcome::kOk);

void Count(CallSeries& series, Duration duration) {
  series.admitted.Add(1);
  series.ended[kOk].Add(1);
  series.latency.Record(duration);
}

std::vector<CallTotals> Sum(std::initializer_list<const CallStats*> threads) {
  return AddUp([&](const SeriesVisit& visit) {
    for (const CallStats* thread : threads) thread->Each(visit);
  });
}

TEST(CallStatsTest, PluginKindOfCallerAndMethodTogetherAreOneSeries) {
  CallStats stats;
  CallSeries& series = stats.Series("kv", Kind::kUser, "/kv.KV/Get");
  EXPECT_EQ(&series, &stats.Series("kv", Kind::kUser, "/kv.KV/Get"));
  EXPECT_NE(&series, &stats.Series("kv", Kind::kPlugin, "/kv.KV/Get"));
  EXPECT_NE(&series, &stats.Series("kv", Kind::kUser, "/kv.KV/Put"));
  EXPECT_NE(&series, &stats.Series("kv2", Kind::kUser, "/kv.KV/Get"));
  EXPECT_EQ(Sum({&stats}).size(), 4u);
}

TEST(CallStatsTest, MethodsBeyondTheBoundShareOneSeriesOfTheirPluginAndLoseNoCall) {
  CallStats stats;
  for (size_t i = 0; i < CallStats::kMaxMethods + 50; ++i) {
    Count(stats.Series("kv", Kind::kUser, "/made.Up/" + std::to_string(i)), microseconds(5));
  }
  Count(stats.Series("other", Kind::kUser, "/a.B/C"), microseconds(5));
  uint64_t kv = 0;
  uint64_t folded = 0;
  for (const CallTotals& totals : Sum({&stats})) {
    if (totals.plugin == "kv") kv += totals.admitted;
    if (totals.method == "(other)") folded += totals.admitted;
  }
  EXPECT_EQ(kv, CallStats::kMaxMethods + 50);
  EXPECT_EQ(folded, 50u);
  EXPECT_EQ(Sum({&stats}).size(), CallStats::kMaxMethods + 2);
}

TEST(CallStatsTest, TheNumberOfSeriesIsBoundedWhateverIsAskedFor) {
  CallStats stats;
  uint64_t calls = 0;
  for (size_t plugin = 0; plugin < 40; ++plugin) {
    for (size_t method = 0; method < 200; ++method, ++calls) {
      Count(stats.Series("p" + std::to_string(plugin), Kind::kUser, "/m/" + std::to_string(method)),
            microseconds(5));
    }
  }
  const auto totals = Sum({&stats});
  EXPECT_EQ(totals.size(), CallStats::kMaxSeries + 1);
  uint64_t counted = 0;
  for (const CallTotals& each : totals) counted += each.admitted;
  EXPECT_EQ(counted, calls);
}

TEST(CallTotalsTest, TheThreadsSeriesOfOneNameAreAddedUp) {
  CallStats one;
  CallStats two;
  Count(one.Series("kv", Kind::kUser, "/kv.KV/Get"), microseconds(10));
  Count(two.Series("kv", Kind::kUser, "/kv.KV/Get"), microseconds(30));
  two.Series("kv", Kind::kUser, "/kv.KV/Get").admitted.Add(2);
  two.Series("kv", Kind::kUser, "/kv.KV/Get").request_bytes.Add(100);
  Count(two.Series("a", Kind::kPlugin, "/kv.KV/Get"), microseconds(30));
  const auto totals = Sum({&one, &two});
  ASSERT_EQ(totals.size(), 2u);
  EXPECT_EQ(totals[0].plugin, "a");
  EXPECT_EQ(totals[0].kind, Kind::kPlugin);
  EXPECT_EQ(totals[1].plugin, "kv");
  EXPECT_EQ(totals[1].admitted, 4u);
  EXPECT_EQ(totals[1].Ended(), 2u);
  EXPECT_EQ(totals[1].InFlight(), 2u);
  EXPECT_EQ(totals[1].request_bytes, 100u);
  EXPECT_EQ(totals[1].latency_sum, microseconds(40));
}

TEST(CallTotalsTest, AQuantileIsTheUpperBoundOfItsBucket) {
  CallStats stats;
  CallSeries& series = stats.Series("kv", Kind::kUser, "/kv.KV/Get");
  EXPECT_EQ(Sum({&stats})[0].Latency(0.5), Duration::zero());
  for (int i = 0; i < 99; ++i) Count(series, microseconds(100));
  Count(series, microseconds(5000));
  const CallTotals totals = Sum({&stats})[0];
  EXPECT_GT(totals.Latency(0.5), microseconds(100));
  EXPECT_LE(totals.Latency(0.5), microseconds(125));
  EXPECT_EQ(totals.Latency(0.5), totals.Latency(0.99));
  EXPECT_GT(totals.Latency(0.995), microseconds(5000));
  EXPECT_LE(totals.Latency(0.995), microseconds(6250));
  Count(series, std::chrono::hours(1));
  EXPECT_LT(Sum({&stats})[0].Latency(1), std::chrono::hours(1));  // all that is known: beyond it
}

// Under ThreadSanitizer this is what shows that counting needs no lock.
TEST(CallStatsTest, AReaderBesideTheWriterSeesNumbersThatOnlyGrowAndInTheEndAllOfThem) {
  constexpr uint64_t kCalls = 20'000;
  constexpr uint64_t kMethods = 50;
  CallStats stats;
  std::atomic<bool> done = false;
  std::thread writer([&] {
    for (uint64_t i = 0; i < kCalls; ++i) {
      Count(stats.Series("kv", Kind::kUser, "/kv.KV/" + std::to_string(i % kMethods)),
            microseconds(static_cast<int64_t>(i)));
    }
    done.store(true, std::memory_order_release);
  });
  const auto read = [&] {
    uint64_t admitted = 0;
    for (const CallTotals& totals : Sum({&stats})) admitted += totals.admitted;
    return admitted;
  };
  uint64_t before = 0;
  while (!done.load(std::memory_order_acquire)) {
    const uint64_t now = read();
    EXPECT_GE(now, before);
    before = now;
  }
  writer.join();
  EXPECT_EQ(read(), kCalls);
  uint64_t recorded = 0;
  for (const CallTotals& totals : Sum({&stats})) {
    for (const uint64_t count : totals.latency) recorded += count;
    EXPECT_EQ(totals.InFlight(), 0u);
  }
  EXPECT_EQ(recorded, kCalls);
}

}  // namespace
}  // namespace plugind::gateway
