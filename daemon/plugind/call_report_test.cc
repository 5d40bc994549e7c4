#include "daemon/plugind/call_report.h"

#include <gtest/gtest.h>

namespace plugind {
namespace {

using gateway::CallTotals;
using gateway::Histogram;
using gateway::Outcome;

CallTotals Calls(const std::string& plugin) {
  CallTotals calls;
  calls.plugin = plugin;
  calls.method = "/kv.KV/Get";
  return calls;
}

TEST(CallReportTest, EveryOutcomeHasAFieldOfItsOwn) {
  CallTotals calls = Calls("kv");
  uint64_t bit = 1;
  for (const Outcome outcome : gateway::kOutcomes) {
    calls.ended[static_cast<size_t>(outcome)] = bit;
    bit *= 2;
  }
  calls.admitted = bit + 4;
  control::v1::ListCallsResponse response;
  FillCalls({calls}, "", &response);
  const auto& stats = response.calls(0);
  EXPECT_EQ(stats.ok() | stats.error() | stats.rejected() | stats.cancelled() |
                stats.deadline_exceeded() | stats.unavailable_not_executed() |
                stats.unavailable_maybe_executed(),
            bit - 1);
  EXPECT_EQ(stats.unavailable_maybe_executed(), bit / 2);
  EXPECT_EQ(stats.in_flight(), 5u);
}

TEST(CallReportTest, ACountLiesInTheBucketWhoseBoundIsTheFirstAboveIt) {
  CallTotals calls = Calls("kv");
  const Duration third = std::chrono::microseconds(100);
  calls.latency[Histogram::Index(third)] = 3;
  calls.latency_sum = 3 * third;
  control::v1::ListCallsResponse response;
  FillCalls({calls}, "", &response);
  const auto& latency = response.calls(0).latency();
  const int last = latency.counts_size() - 1;
  EXPECT_EQ(latency.counts(last), 3u);
  EXPECT_GT(response.bucket_bounds_ns(last), 100'000u);
  EXPECT_LE(response.bucket_bounds_ns(last - 1), 100'000u);
  EXPECT_EQ(latency.p99().nanos(), static_cast<int>(response.bucket_bounds_ns(last)));
  EXPECT_EQ(latency.sum().nanos(), 300'000);
  EXPECT_EQ(response.bucket_bounds_ns_size(), static_cast<int>(Histogram::kBuckets) - 1);
}

TEST(CallReportTest, WhatHasNotEndedHasNoQuantiles) {
  control::v1::ListCallsResponse response;
  FillCalls({Calls("kv")}, "", &response);
  EXPECT_FALSE(response.calls(0).latency().has_p50());
  EXPECT_EQ(response.calls(0).latency().counts_size(), 0);
}

TEST(CallReportTest, OnePluginsCallsAreThoseOfItsName) {
  control::v1::ListCallsResponse response;
  FillCalls({Calls("kv"), Calls("kv2")}, "kv", &response);
  ASSERT_EQ(response.calls_size(), 1);
  EXPECT_EQ(response.calls(0).plugin(), "kv");
}

}  // namespace
}  // namespace plugind
