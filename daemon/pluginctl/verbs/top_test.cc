#include <nlohmann/json.hpp>

#include "daemon/pluginctl/testing/daemon_test.h"

namespace plugind::pluginctl::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

class TopTest : public DaemonTest {
 protected:
  TopTest() {
    answer_.mutable_since()->set_seconds(1000);
    answer_.mutable_elapsed()->set_seconds(100);
    for (const uint64_t bound : {1'000, 250'000, 20'000'000}) answer_.add_bucket_bounds_ns(bound);
    Set("kv", "/kv.KV/Get", 12'345);
    Set("greeter", "/g.G/Hi\x1b[2J", 10).set_unavailable_maybe_executed(10);
    daemon_.SetCalls(answer_);
  }
  v1::CallStats& Set(const std::string& plugin, const std::string& method, uint64_t ok) {
    v1::CallStats& stats = *answer_.add_calls();
    stats.set_plugin(plugin);
    stats.set_caller(v1::CallStats::PLUGIN);
    stats.set_method(method);
    stats.set_started(ok);
    stats.set_ok(ok);
    stats.set_request_bytes(ok * 1000);
    for (const uint64_t count : {uint64_t{0}, ok * 9 / 10, ok / 10})
      stats.mutable_latency()->add_counts(count);
    return stats;
  }
  v1::ListCallsResponse answer_;
};

TEST_F(TopTest, OneRoundIsATableOfAllSinceTheStart) {
  const Result result = Ctl({"top", "-b", "-n", "1"});
  EXPECT_EQ(result.code, 0);
  EXPECT_EQ(result.err, "");
  EXPECT_EQ(result.out,
            "124 calls/s, 0 in flight, since plugind began 1m40s ago\n"
            "PLUGIN   CALLS/S  IN-FLIGHT    P50     P99  ERR%  UNAVAILABLE       RX    TX\n"
            "kv           123          0  250us  20.0ms   0.0            0  123kB/s  0B/s\n"
            "greeter     0.10          0  250us  20.0ms  50.0           10   100B/s  0B/s\n");
}

TEST_F(TopTest, MethodsHaveRowsOfTheirOwnAndDriveNoTerminal) {
  const std::string out = Ctl({"top", "-n", "1", "--methods"}).out;
  EXPECT_THAT(out, HasSubstr("PLUGIN   CALLER  CALLS/S"));
  EXPECT_THAT(out, HasSubstr("  /kv.KV/Get\n"));
  EXPECT_THAT(out, HasSubstr("/g.G/Hi\\x1b[2J\n"));
}

TEST_F(TopTest, JsonIsOneDocumentARound) {
  const Result result = Ctl({"top", "-b", "-n", "2", "-d", "0.1", "-o", "json"});
  EXPECT_EQ(result.code, 0);
  std::istringstream lines(result.out);
  std::string line;
  ASSERT_TRUE(std::getline(lines, line));
  const auto first = nlohmann::json::parse(line);
  EXPECT_TRUE(first.at("sinceStart"));
  EXPECT_EQ(first.at("plugins").at(0).at("plugin"), "kv");
  EXPECT_EQ(first.at("plugins").at(0).at("ok"), 12'345);
  ASSERT_TRUE(std::getline(lines, line));
  const auto second = nlohmann::json::parse(line);
  EXPECT_FALSE(second.at("sinceStart"));
  EXPECT_EQ(second.at("plugins").at(0).at("ok"), 0);
  EXPECT_FALSE(std::getline(lines, line));
}

TEST_F(TopTest, ItGoesOnUntilNobodyReadsIt) {
  const auto top = Begin({"top", "-d", "0.1"});
  daemon_.AwaitCalls("ListCalls", 3);
  EXPECT_TRUE(top->AwaitText("in the last"));
  top->CloseStdout();
  EXPECT_EQ(top->Wait().code, 0);
}

TEST_F(TopTest, ItOutlivesTheDeathOfPlugind) {
  const auto top = Begin({"top", "-d", "0.1"});
  EXPECT_TRUE(top->AwaitText("in the last"));
  daemon_.Kill();
  answer_.mutable_since()->set_seconds(2000);
  answer_.mutable_elapsed()->set_seconds(5);
  daemon_.SetCalls(answer_);
  daemon_.Revive();
  EXPECT_TRUE(top->AwaitText("since plugind began 5s ago"));
}

TEST_F(TopTest, OnATerminalOneTableIsWrittenOverTheOther) {
  ProcessOptions options = Options();
  options.terminal = true;
  options.env["TERM"] = "xterm";
  const std::string live = Pluginctl({"top", "-n", "2", "-d", "0.1"}, options).out;
  EXPECT_THAT(live, StartsWith("\x1b[H"));
  EXPECT_THAT(live, HasSubstr("\x1b[J\x1b[H"));
  EXPECT_THAT(Pluginctl({"top", "-b", "-n", "1"}, options).out, Not(HasSubstr("\x1b[H")));
}

TEST_F(TopTest, RefusesWhatIsNoInterval) {
  EXPECT_EQ(Ctl({"top", "-d", "0"}).code, 2);
  EXPECT_EQ(Ctl({"top", "-d", "soon"}).code, 2);
  EXPECT_EQ(Ctl({"top", "-n", "0"}).code, 2);
}

}  // namespace
}  // namespace plugind::pluginctl::testing
