#include "daemon/plugind/metrics_page.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <sstream>

namespace plugind {
namespace {

using gateway::CallTotals;
using gateway::Histogram;
using gateway::Outcome;
using supervisor::PluginStatus;
using supervisor::State;
using ::testing::HasSubstr;
using ::testing::Not;

PluginStatus Plugin(const std::string& name, State state) {
  PluginStatus plugin;
  plugin.name = name;
  plugin.state = state;
  plugin.wanted = true;
  return plugin;
}

CallTotals Calls() {
  CallTotals calls;
  calls.plugin = "kv";
  calls.kind = gateway::Caller::Kind::kPlugin;
  calls.method = "/kv.KV/Get";
  calls.admitted = 12;
  calls.ended[static_cast<size_t>(Outcome::kOk)] = 9;
  calls.ended[static_cast<size_t>(Outcome::kMaybeExecuted)] = 1;
  calls.request_bytes = 100;
  calls.response_bytes = 2000;
  calls.resent = 3;
  return calls;
}

// The value of the sample that begins so.
double Value(const std::string& page, const std::string& sample) {
  const size_t at = page.find("\n" + sample + " ");
  EXPECT_NE(at, std::string::npos) << sample << " is missing";
  return at == std::string::npos ? -1 : std::strtod(page.c_str() + at + sample.size() + 2, nullptr);
}

TEST(MetricsPageTest, APluginIsInOneOfAllStates) {
  auto kv = Plugin("kv", State::kBackoff);
  kv.restarts = 4;
  kv.log_bytes_dropped = 77;
  const std::string page = RenderMetrics({}, {Plugin("greeter", State::kReady), kv}, {});
  EXPECT_EQ(Value(page, R"(plugind_plugin_state{plugin="greeter",state="READY"})"), 1);
  EXPECT_EQ(Value(page, R"(plugind_plugin_state{plugin="greeter",state="BACKOFF"})"), 0);
  EXPECT_EQ(Value(page, R"(plugind_plugin_state{plugin="kv",state="BACKOFF"})"), 1);
  EXPECT_EQ(Value(page, R"(plugind_plugin_state{plugin="kv",state="FAILED"})"), 0);
  EXPECT_EQ(Value(page, R"(plugind_plugin_ready{plugin="greeter"})"), 1);
  EXPECT_EQ(Value(page, R"(plugind_plugin_ready{plugin="kv"})"), 0);
  EXPECT_EQ(Value(page, R"(plugind_plugin_restarts_total{plugin="kv"})"), 4);
  EXPECT_EQ(Value(page, R"(plugind_log_dropped_bytes_total{plugin="kv"})"), 77);
}

TEST(MetricsPageTest, CallsAreThereByOutcomeInFlightAndInBytes) {
  const std::string page = RenderMetrics({}, {}, {Calls()});
  const std::string labels = R"({plugin="kv",caller="plugin",method="/kv.KV/Get")";
  EXPECT_EQ(Value(page, "plugind_calls_started_total" + labels + "}"), 12);
  EXPECT_EQ(Value(page, "plugind_calls_total" + labels + R"(,outcome="ok"})"), 9);
  EXPECT_EQ(
      Value(page, "plugind_calls_total" + labels + R"(,outcome="unavailable_maybe_executed"})"), 1);
  EXPECT_EQ(Value(page, "plugind_calls_total" + labels + R"(,outcome="deadline"})"), 0);
  EXPECT_EQ(Value(page, "plugind_calls_in_flight" + labels + "}"), 2);
  EXPECT_EQ(Value(page, "plugind_calls_resent_total" + labels + "}"), 3);
  EXPECT_EQ(Value(page, "plugind_call_bytes_total" + labels + R"(,direction="request"})"), 100);
  EXPECT_EQ(Value(page, "plugind_call_bytes_total" + labels + R"(,direction="response"})"), 2000);
}

TEST(MetricsPageTest, EveryBucketOfTheDurationsIsCountedUnderTheFirstBoundThatItLiesBelow) {
  CallTotals calls = Calls();
  for (size_t bucket = 0; bucket < calls.latency.size(); ++bucket) calls.latency[bucket] = 1;
  calls.latency_sum = std::chrono::milliseconds(1500);
  const std::string page = RenderMetrics({}, {}, {calls});
  std::istringstream lines(page);
  size_t bounds = 0;
  for (std::string line; std::getline(lines, line);) {
    const size_t le = line.find("le=\"");
    if (le == std::string::npos) continue;
    ++bounds;
    const double bound = std::strtod(line.c_str() + le + 4, nullptr);
    double below = 0;
    for (size_t bucket = 0; bucket < calls.latency.size(); ++bucket) {
      const Duration upper = Histogram::UpperBound(bucket);
      const bool last = upper == Duration::max();
      if (bound == HUGE_VAL || (!last && std::chrono::duration<double>(upper).count() <= bound))
        ++below;
    }
    EXPECT_EQ(std::strtod(line.c_str() + line.rfind(' '), nullptr), below) << line;
  }
  EXPECT_EQ(bounds, 24u);
  const std::string labels = R"({plugin="kv",caller="plugin",method="/kv.KV/Get"})";
  EXPECT_EQ(Value(page, "plugind_call_duration_seconds_sum" + labels), 1.5);
  EXPECT_EQ(Value(page, "plugind_call_duration_seconds_count" + labels), Histogram::kBuckets);
}

TEST(ReadinessTest, IsWhenEveryPluginThatIsWantedIsReady) {
  auto off = Plugin("off", State::kStopped);
  off.wanted = false;
  auto disabled = Plugin("disabled", State::kStopped);
  disabled.enabled = false;
  std::vector<PluginStatus> plugins = {Plugin("kv", State::kReady), off, disabled};
  EXPECT_TRUE(DescribeReadiness(plugins, false, false).ready);
  EXPECT_EQ(DescribeReadiness(plugins, false, false).text, "ready\n");
  plugins.push_back(Plugin("late", State::kBackoff));
  plugins.back().reason = "killed by signal 9";
  const Readiness late = DescribeReadiness(plugins, false, false);
  EXPECT_FALSE(late.ready);
  EXPECT_EQ(late.text, "[-] late BACKOFF: killed by signal 9\nnot ready\n");
  const Readiness verbose = DescribeReadiness(plugins, false, true);
  EXPECT_THAT(verbose.text, HasSubstr("[+] kv READY\n[+] off STOPPED, not wanted\n"));
  EXPECT_THAT(verbose.text, HasSubstr("[-] late BACKOFF"));
}

TEST(ReadinessTest, IsNotWhileItStops) {
  const Readiness readiness = DescribeReadiness({Plugin("kv", State::kReady)}, true, false);
  EXPECT_FALSE(readiness.ready);
  EXPECT_THAT(readiness.text, HasSubstr("plugind is stopping"));
  EXPECT_THAT(readiness.text, Not(HasSubstr("kv")));
}

}  // namespace
}  // namespace plugind
