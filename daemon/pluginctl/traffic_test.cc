#include "daemon/pluginctl/traffic.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace plugind::pluginctl {
namespace {

v1::ListCallsResponse Answer(int64_t since, int64_t elapsed) {
  v1::ListCallsResponse answer;
  answer.mutable_since()->set_seconds(since);
  answer.mutable_elapsed()->set_seconds(elapsed);
  for (const uint64_t bound : {1000, 2000, 4000}) answer.add_bucket_bounds_ns(bound);
  return answer;
}

v1::CallStats& Add(v1::ListCallsResponse& answer, const std::string& plugin,
                   const std::string& method, uint64_t ok, std::vector<uint64_t> counts = {}) {
  v1::CallStats& stats = *answer.add_calls();
  stats.set_plugin(plugin);
  stats.set_caller(v1::CallStats::USER);
  stats.set_method(method);
  stats.set_started(ok);
  stats.set_ok(ok);
  for (const uint64_t count : counts) stats.mutable_latency()->add_counts(count);
  return stats;
}

TEST(TrafficTest, WithoutAnEarlierAnswerItIsSinceTheStart) {
  auto now = Answer(1000, 10);
  Add(now, "kv", "/kv.KV/Get", 50);
  const Traffic traffic = Compare(nullptr, now, false);
  EXPECT_TRUE(traffic.since_start);
  EXPECT_EQ(traffic.PerSecond(traffic.rows.at(0).started), 5);
}

TEST(TrafficTest, BetweenTwoAnswersItIsTheDifference) {
  auto before = Answer(1000, 10);
  Add(before, "kv", "/kv.KV/Get", 50, {50});
  auto now = Answer(1000, 12);
  auto& get = Add(now, "kv", "/kv.KV/Get", 70, {50, 20});
  get.set_request_bytes(100);
  get.set_in_flight(3);
  auto& fresh = Add(now, "kv", "/kv.KV/Put", 10, {0, 0, 0, 10});
  fresh.set_started(20);
  fresh.set_error(5);
  fresh.set_cancelled(3);
  fresh.set_unavailable_maybe_executed(2);
  const Traffic traffic = Compare(&before, now, false);
  EXPECT_FALSE(traffic.since_start);
  EXPECT_EQ(traffic.seconds, 2);
  ASSERT_EQ(traffic.rows.size(), 1u);
  const TrafficRow& row = traffic.rows[0];
  EXPECT_EQ(row.started, 40u);
  EXPECT_EQ(row.in_flight, 3u);
  EXPECT_EQ(row.Ended(), 40u);
  EXPECT_EQ(row.Unavailable(), 2u);
  EXPECT_DOUBLE_EQ(*row.FailedShare(), 7.0 / 40);
  EXPECT_EQ(traffic.PerSecond(row.request_bytes), 50);
  EXPECT_EQ(*row.p50, 2e-6);  // those of before are not among them
  EXPECT_EQ(*row.p99, 4e-6);  // beyond the last bound
}

TEST(TrafficTest, AnotherProcessOfPlugindBeganAnew) {
  auto before = Answer(1000, 10);
  Add(before, "kv", "/kv.KV/Get", 50);
  auto now = Answer(2000, 1);
  Add(now, "kv", "/kv.KV/Get", 60);
  const Traffic traffic = Compare(&before, now, false);
  EXPECT_TRUE(traffic.since_start);
  EXPECT_EQ(traffic.rows[0].started, 60u);
}

TEST(TrafficTest, TheBusiestComesFirstAndMethodsAreApartWhereTheyAreAskedFor) {
  auto now = Answer(1000, 1);
  Add(now, "a", "/x/One", 1);
  Add(now, "b", "/x/One", 5);
  Add(now, "b", "/x/Two", 3);
  const auto plugins = Compare(nullptr, now, false).rows;
  ASSERT_EQ(plugins.size(), 2u);
  EXPECT_EQ(plugins[0].plugin, "b");
  EXPECT_EQ(plugins[0].started, 8u);
  const auto methods = Compare(nullptr, now, true).rows;
  ASSERT_EQ(methods.size(), 3u);
  EXPECT_EQ(methods[1].method, "/x/Two");
  EXPECT_EQ(methods[1].caller, "user");
}

TEST(TrafficTest, AnIdlePluginHasNoQuantilesAndNoShare) {
  auto now = Answer(1000, 1);
  Add(now, "kv", "/x/One", 0);
  const auto document = nlohmann::json::parse(TrafficJson(Compare(nullptr, now, false), false));
  const auto& row = document.at("plugins").at(0);
  EXPECT_TRUE(row.at("p50Seconds").is_null());
  EXPECT_TRUE(row.at("failedShare").is_null());
  EXPECT_EQ(row.at("callsPerSecond"), 0);
  EXPECT_FALSE(row.contains("method"));
  EXPECT_TRUE(document.at("sinceStart"));
}

}  // namespace
}  // namespace plugind::pluginctl
