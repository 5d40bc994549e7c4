#include "daemon/observe/event_log.h"

#include <gtest/gtest.h>

#include "daemon/observe/shared_ring.h"

namespace plugind::observe {
namespace {

Event Started(const std::string& plugin) {
  Event event;
  event.plugin = plugin;
  event.from = 3;
  event.to = 4;
  event.type = "ready";
  event.reason = "health says SERVING";
  event.phase = "";
  event.instance = "7f3a";
  event.pid = 4242;
  event.restarts = 7;
  return event;
}

class EventLogTest : public testing::Test {
 protected:
  void SetUp() override {
    auto log = EventLog::Create(64 * 1024, clock_);
    ASSERT_TRUE(log.ok());
    log_ = *std::move(log);
  }
  FakeClock clock_;
  std::unique_ptr<EventLog> log_;
};

TEST_F(EventLogTest, GivesNumbersAndTimesAndReadsBackWhatWasSaid) {
  EXPECT_EQ(log_->next_sequence(), 1U);
  EXPECT_EQ(log_->Append(Started("greeter")), 1U);
  const auto events = log_->Read(0, 10);
  ASSERT_EQ(events.size(), 1U);
  EXPECT_EQ(events[0].sequence, 1U);
  EXPECT_EQ(events[0].time, clock_.WallNow());
  EXPECT_EQ(events[0].plugin, "greeter");
  EXPECT_EQ(events[0].from, 3);
  EXPECT_EQ(events[0].to, 4);
  EXPECT_EQ(events[0].type, "ready");
  EXPECT_EQ(events[0].reason, "health says SERVING");
  EXPECT_EQ(events[0].instance, "7f3a");
  EXPECT_EQ(events[0].pid, 4242);
  EXPECT_EQ(events[0].restarts, 7U);
}

TEST_F(EventLogTest, AWatcherResumesFromAnyKeptNumber) {
  for (int i = 0; i < 5000; ++i) log_->Append(Started("plugin" + std::to_string(i)));
  const auto events = log_->Read(4990, 3);
  ASSERT_EQ(events.size(), 3U);
  EXPECT_EQ(events[0].sequence, 4990U);
  EXPECT_EQ(events[0].plugin, "plugin4989");
  EXPECT_GT(log_->Read(1, 1).front().sequence, 1U);
  EXPECT_TRUE(log_->Read(5001, 10).empty());
}

TEST_F(EventLogTest, NumbersGoOnInASuccessor) {
  log_->Append(Started("a"));
  auto next = EventLog::Reopen(log_->memory().Duplicate(), clock_);
  ASSERT_TRUE(next.ok());
  EXPECT_EQ((*next)->Append(Started("b")), 2U);
  EXPECT_EQ((*next)->Read(1, 10).size(), 2U);
}

TEST_F(EventLogTest, AReasonThatQuotesAPluginIsMadeFitToShow) {
  Event event = Started("a");
  event.reason = "said \"\x1b[2J\xFF\" " + std::string(100000, 'x');
  log_->Append(event);
  const std::string reason = log_->Read(1, 1).front().reason;
  EXPECT_TRUE(reason.starts_with("said \"\\x1b[2J\uFFFD\" xxx"));
  EXPECT_LE(reason.size(), 2048U);
}

TEST_F(EventLogTest, TellsItsFollower) {
  uint64_t seen = 0;
  log_->OnAppended([&] { seen = log_->next_sequence(); });
  log_->Append(Started("a"));
  EXPECT_EQ(seen, 2U);
}

TEST_F(EventLogTest, AnotherMemoryIsDataLoss) {
  auto ring = SharedRing::Create("x", SharedRing::Kind::kPluginLog, 65536, 0);
  ASSERT_TRUE(ring.ok());
  EXPECT_EQ(EventLog::Reopen(ring->memory().Duplicate(), clock_).status().code(),
            absl::StatusCode::kDataLoss);
}

}  // namespace
}  // namespace plugind::observe
