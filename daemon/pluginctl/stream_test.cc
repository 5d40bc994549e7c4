// Logs, events and wait: what is read from a stream, whatever happens to the daemon meanwhile.
#include "daemon/pluginctl/stream.h"

#include <google/protobuf/util/time_util.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cstring>
#include <nlohmann/json.hpp>
#include <sstream>

#include "daemon/base/unique_fd.h"
#include "daemon/pluginctl/testing/daemon_test.h"

namespace plugind::pluginctl::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

std::vector<std::string> Lines(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

// The "sequence" of each line of JSON.
std::vector<int> Sequences(const std::string& text) {
  std::vector<int> sequences;
  for (const std::string& line : Lines(text)) {
    sequences.push_back(std::stoi(nlohmann::json::parse(line).at("sequence").get<std::string>()));
  }
  return sequences;
}

class StreamTest : public DaemonTest {
 protected:
  StreamTest() { daemon_.Add("kv"); }

  void Log(const std::string& message, uint64_t dropped = 0) {
    v1::LogEntry entry;
    *entry.mutable_time() =
        google::protobuf::util::TimeUtil::MillisecondsToTimestamp(1'700'000'000'123);
    entry.set_level(v1::LogEntry::WARN);
    entry.set_source(v1::LogEntry::STDERR);
    entry.set_message(message);
    entry.set_dropped_bytes(dropped);
    daemon_.Log("kv", entry);
  }
  void Log(int count) {
    for (int i = 0; i < count; ++i) Log("entry");
  }
  void Change(int count) {
    for (int i = 0; i < count; ++i)
      daemon_.Move("kv", {i % 2 == 0 ? v1::Plugin::UNREADY : v1::Plugin::READY});
  }
};

TEST_F(StreamTest, AnEntryIsALine) {
  v1::LogEntry entry;
  *entry.mutable_time() =
      google::protobuf::util::TimeUtil::MillisecondsToTimestamp(1'700'000'000'123);
  entry.set_level(v1::LogEntry::INFO);
  entry.set_source(v1::LogEntry::STDOUT);
  entry.set_message("opened\x1b[31m");
  entry.set_module("db");
  const auto field = [&entry](const char* key, const char* value) {
    auto* added = entry.add_fields();
    added->set_key(key);
    added->set_value(value);
  };
  field("size", "12");
  field("path", "/a b");
  field("quote", "say \"x\"");
  field("none", "");
  daemon_.Log("kv", entry);
  const Result result = Ctl({"logs", "kv"});
  EXPECT_EQ(result.code, 0);
  EXPECT_EQ(
      result.out,
      "2023-11-14 22:13:20.123 INFO  [stdout] opened\\x1b[31m module=db size=12 path=\"/a b\" "
      "quote=\"say \\\"x\\\"\" none=\"\"\n");
}

TEST_F(StreamTest, LogsBeginWhereTheyAreToldTo) {
  Log(5);
  EXPECT_THAT(Sequences(Ctl({"logs", "kv", "-o", "json"}).out), ElementsAre(1, 2, 3, 4, 5));
  EXPECT_THAT(Sequences(Ctl({"logs", "kv", "-o", "json", "-n", "2"}).out), ElementsAre(4, 5));
  EXPECT_THAT(Sequences(Ctl({"logs", "kv", "-o", "json", "-n0"}).out), ElementsAre());
  EXPECT_THAT(Sequences(Ctl({"logs", "kv", "-o", "json", "--since-seq", "3"}).out),
              ElementsAre(3, 4, 5));
  EXPECT_EQ(nlohmann::json::parse(Ctl({"logs", "kv", "-o", "json", "-n1"}).out).at("source"),
            "STDERR");
}

TEST_F(StreamTest, WhatIsMissingFromALogIsSaidOnStderr) {
  Log(2);
  Log("after the flood", 1234);
  Log(4);
  daemon_.DropLogsBefore("kv", 3);
  const Result result = Ctl({"logs", "kv", "--since-seq", "1", "-o", "json"});
  EXPECT_EQ(result.code, 0);
  EXPECT_THAT(Sequences(result.out), ElementsAre(3, 4, 5, 6, 7));
  EXPECT_EQ(result.err, "entries 1–2 no longer kept\n… 1234 bytes dropped\n");
  EXPECT_EQ(Ctl({"logs", "kv", "-n", "2"}).err, "");
}

TEST_F(StreamTest, FollowedLogsGoOnAfterTheDaemonsDeath) {
  Log(2);
  const auto logs = Begin({"logs", "kv", "-f", "-o", "json"});
  daemon_.AwaitFollowers(1);
  Log(1);
  ASSERT_TRUE(logs->AwaitText("\"sequence\":\"3\""));
  for (int i = 0; i < 3; ++i) {
    daemon_.Kill();
    Log(1);
    daemon_.Revive();
    daemon_.AwaitFollowers(1);
    Log(1);
    ASSERT_TRUE(logs->AwaitText("\"sequence\":\"" + std::to_string(5 + 2 * i) + "\""));
  }
  logs->Signal(SIGINT);
  const Result result = logs->Wait();
  EXPECT_EQ(result.code, 130);
  EXPECT_THAT(Sequences(result.out), ElementsAre(1, 2, 3, 4, 5, 6, 7, 8, 9));
  EXPECT_EQ(result.err, "");
}

TEST_F(StreamTest, EntriesThatWereOverwrittenMeanwhileAreSaidToBeGone) {
  Log(1);
  const auto logs = Begin({"logs", "kv", "-f", "-o", "json"});
  ASSERT_TRUE(logs->AwaitText("\"sequence\":\"1\""));
  daemon_.Kill();
  Log(5);
  daemon_.DropLogsBefore("kv", 5);
  daemon_.Revive();
  ASSERT_TRUE(logs->AwaitText("\"sequence\":\"6\""));
  logs->Signal(SIGINT);
  EXPECT_EQ(logs->Wait().err, "entries 2–4 no longer kept\n");
}

TEST_F(StreamTest, OnlyNewEntriesAreFollowedWithNZero) {
  Log(3);
  const auto logs = Begin({"logs", "kv", "-f", "-n", "0", "-o", "json"});
  daemon_.AwaitFollowers(1);
  daemon_.Kill();
  Log(1);
  daemon_.Revive();
  ASSERT_TRUE(logs->AwaitText("\"sequence\":\"4\""));
  logs->Signal(SIGINT);
  EXPECT_THAT(Sequences(logs->Wait().out), ElementsAre(4));
}

TEST_F(StreamTest, ADaemonStartedAfreshIsFollowedFromItsBeginning) {
  Log(4);
  const auto logs = Begin({"logs", "kv", "-f", "-o", "json"});
  ASSERT_TRUE(logs->AwaitText("\"sequence\":\"4\""));
  daemon_.AwaitFollowers(1);
  daemon_.Kill();
  daemon_.ReviveAnew();
  Log("hello again");
  ASSERT_TRUE(logs->AwaitText("hello again"));
  logs->Signal(SIGINT);
  const Result result = logs->Wait();
  EXPECT_THAT(Sequences(result.out), ElementsAre(1, 2, 3, 4, 1));
  EXPECT_THAT(result.err, HasSubstr("started afresh"));
}

TEST_F(StreamTest, AReaderThatWasTooSlowGoesOn) {
  Log(4);
  daemon_.BreakOnce("StreamLogs", 2,
                    RichStatus(grpc::StatusCode::RESOURCE_EXHAUSTED, "too slow", "SLOW_READER"));
  const Result result = Ctl({"logs", "kv", "-o", "json"});
  EXPECT_EQ(result.code, 0);
  EXPECT_THAT(Sequences(result.out), ElementsAre(1, 2, 3, 4));
}

TEST_F(StreamTest, AnErrorInTheMiddleIsAnError) {
  Log(4);
  daemon_.BreakOnce("StreamLogs", 2, grpc::Status(grpc::StatusCode::DATA_LOSS, "ring is broken"));
  const Result result = Ctl({"logs", "kv", "-o", "json"});
  EXPECT_EQ(result.code, 1);
  EXPECT_THAT(Sequences(result.out), ElementsAre(1, 2));
  EXPECT_EQ(result.err, "pluginctl: kv: ring is broken\n");
}

TEST_F(StreamTest, AReaderThatGoesAwayEndsItQuietly) {
  Log(1);
  const auto logs = Begin({"logs", "kv", "-f"});
  ASSERT_TRUE(logs->AwaitText("entry"));
  logs->CloseStdout();  // and nothing more is written
  const Result result = logs->Wait();
  EXPECT_EQ(result.code, 0);
  EXPECT_EQ(result.err, "");
}

TEST_F(StreamTest, AFullDiskIsAnError) {
  Log(1);
  const Result result = Process({"sh", "-c", "exec \"$0\" --socket \"$1\" logs kv >/dev/full",
                                 PluginctlPath(), daemon_.socket()})
                            .Wait();
  EXPECT_EQ(result.code, 1);
  EXPECT_THAT(result.err, HasSubstr("No space left on device"));
}

TEST_F(StreamTest, ClosedStandardStreamsHarmNothing) {
  Log(1);
  const Result result = Process({"sh", "-c", "exec \"$0\" --socket \"$1\" logs kv <&- >&- 2>&-",
                                 PluginctlPath(), daemon_.socket()})
                            .Wait();
  EXPECT_EQ(result.code, 0);
}

TEST_F(StreamTest, EventsBeginWhereTheyAreToldTo) {
  daemon_.Add("other");
  Change(3);
  daemon_.Move("other", {v1::Plugin::FAILED, "bad\nluck"});
  EXPECT_THAT(Sequences(Ctl({"events", "-o", "json"}).out), ElementsAre(1, 2, 3, 4));
  EXPECT_THAT(Sequences(Ctl({"events", "-o", "json", "-n", "2"}).out), ElementsAre(3, 4));
  EXPECT_THAT(Sequences(Ctl({"events", "-o", "json", "--from", "2"}).out), ElementsAre(2, 3, 4));
  EXPECT_THAT(Sequences(Ctl({"events", "-o", "json", "--plugin", "kv", "-n", "2"}).out),
              ElementsAre(2, 3));
  EXPECT_EQ(nlohmann::json::parse(Ctl({"events", "-o", "json", "-n1"}).out).at("to"), "FAILED");
  EXPECT_THAT(Ctl({"events", "-n1"}).out,
              HasSubstr("    4 other READY → FAILED (changed) pid=4242: bad\\x0aluck\n"));
}

TEST_F(StreamTest, FollowedEventsGoOnAfterTheDaemonsDeath) {
  Change(3);
  const auto events = Begin({"events", "-f", "-n", "1", "-o", "json"});
  daemon_.AwaitFollowers(1);
  daemon_.Kill();
  Change(2);
  daemon_.Revive();
  daemon_.AwaitFollowers(1);
  Change(1);
  ASSERT_TRUE(events->AwaitText("\"sequence\":\"6\""));
  events->Signal(SIGINT);
  const Result result = events->Wait();
  EXPECT_THAT(Sequences(result.out), ElementsAre(3, 4, 5, 6));
  EXPECT_EQ(result.err, "");
}

TEST_F(StreamTest, WaitIsOverAtOnceWhenThePluginIsThere) {
  const Result result = Ctl({"wait", "kv", "--for", "failed,ready"});
  EXPECT_EQ(result.code, 0);
  EXPECT_EQ(result.err, "kv: READY\n");
}

TEST_F(StreamTest, WaitSeesAStateThatIsOnlyPassedThrough) {
  const auto wait = Begin({"wait", "kv", "--for", "BACKOFF"});
  daemon_.AwaitFollowers(1);
  daemon_.Move("kv", {v1::Plugin::BACKOFF});
  daemon_.Move("kv", {v1::Plugin::STARTING});
  EXPECT_EQ(wait->Wait().code, 0);
}

TEST_F(StreamTest, WaitOutlivesTheDaemon) {
  const auto wait = Begin({"wait", "kv", "--for", "FAILED"});
  daemon_.AwaitFollowers(1);
  daemon_.Kill();
  daemon_.Move("kv", {v1::Plugin::FAILED});
  daemon_.Move("kv", {v1::Plugin::STARTING});
  daemon_.Revive();
  EXPECT_EQ(wait->Wait().code, 0);
}

TEST_F(StreamTest, WaitTimesOut) {
  const Result result = Ctl({"wait", "kv", "--for", "FAILED", "--timeout", "100ms"});
  EXPECT_EQ(result.code, 7);
  EXPECT_THAT(result.err, HasSubstr("kv: timed out, still READY\n"));
}

TEST_F(StreamTest, WaitTimesOutOnADaemonThatSaysNothing) {
  const std::string path = folder_ + "/mute.sock";
  const UniqueFd mute(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, path.c_str(), sizeof(address.sun_path) - 1);
  ASSERT_EQ(bind(mute.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  ASSERT_EQ(listen(mute.get(), 8), 0);
  EXPECT_EQ(
      Pluginctl({"wait", "kv", "--for", "READY", "--timeout", "200ms", "--socket", path}).code, 7);
}

TEST_F(StreamTest, WaitEndsWhenThePluginIsGone) {
  daemon_.Remove("kv");
  EXPECT_EQ(Ctl({"wait", "kv", "--for", "READY"}).code, 4);
}

}  // namespace
}  // namespace plugind::pluginctl::testing
