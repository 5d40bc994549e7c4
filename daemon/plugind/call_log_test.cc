#include "daemon/plugind/call_log.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <sstream>
#include <string>
#include <vector>

namespace plugind {
namespace {

using gateway::CallEnd;
using gateway::Outcome;
using observe::Level;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class CallLogTest : public ::testing::Test {
 protected:
  CallLogTest() {
    int pair[2];
    EXPECT_EQ(::pipe2(pair, O_CLOEXEC | O_NONBLOCK), 0);
    read_ = UniqueFd(pair[0]);
    write_ = UniqueFd(pair[1]);
    ::fcntl(write_.get(), F_SETPIPE_SZ, 1 << 20);
    SetLevel(Level::kInfo);
  }
  void SetLevel(Level level) {
    logger_ = std::make_unique<observe::Logger>(level, observe::LogFormat::kText, write_.get());
    calls_.SetLevel(level);
  }
  static CallEnd End(Outcome outcome) {
    return {.caller = "uid:1000",
            .plugin = "kv",
            .method = "/kv.KV/Get",
            .outcome = outcome,
            .code = 14,
            .duration = std::chrono::microseconds(1500),
            .trace = "4bf92f3577b34da6a3ce929d0e0e4736",
            .detail = "it was lost"};
  }
  std::vector<std::string> Lines() {
    loop_.RunOnce(Duration::zero());
    loop_.RunOnce(Duration::zero());
    std::string all;
    char buffer[65536];
    for (ssize_t got = 0; (got = ::read(read_.get(), buffer, sizeof buffer)) > 0;)
      all.append(buffer, static_cast<size_t>(got));
    std::vector<std::string> lines;
    std::istringstream stream(all);
    for (std::string line; std::getline(stream, line);) lines.push_back(line);
    return lines;
  }

  FakeClock clock_;
  EventLoop loop_{clock_};
  UniqueFd read_, write_;
  std::unique_ptr<observe::Logger> logger_;
  CallLog calls_{loop_, [this]() -> observe::Logger& { return *logger_; }};
};

TEST_F(CallLogTest, WhatTheGatewayEndedWithoutAnAnswerIsTrouble) {
  calls_.Ended(End(Outcome::kMaybeExecuted));
  calls_.Ended(End(Outcome::kDeadline));
  EXPECT_THAT(Lines(),
              ElementsAre(AllOf(HasSubstr(
                              "WARN  a call has ended caller=uid:1000 plugin=kv method=/kv.KV/Get "
                              "outcome=unavailable_maybe_executed code=14 duration_ms=1.5 "
                              "trace=4bf92f3577b34da6a3ce929d0e0e4736 detail=\"it was lost\"")),
                          HasSubstr("INFO  a call has ended")));
}

TEST_F(CallLogTest, EveryOtherEndIsForWhoeverDebugs) {
  const auto end_all = [this] {
    for (const Outcome outcome :
         {Outcome::kOk, Outcome::kError, Outcome::kRejected, Outcome::kCancelled})
      calls_.Ended(End(outcome));
  };
  end_all();
  EXPECT_THAT(Lines(), IsEmpty());
  SetLevel(Level::kDebug);
  end_all();
  EXPECT_EQ(Lines().size(), 4u);
  SetLevel(Level::kError);
  calls_.Ended(End(Outcome::kNotExecuted));
  EXPECT_THAT(Lines(), IsEmpty());
}

TEST_F(CallLogTest, TroubleHasSoManyLinesASecondAndTheRestIsCounted) {
  for (uint32_t i = 0; i < CallLog::kLinesPerSecond + 7; ++i)
    calls_.Ended(End(Outcome::kNotExecuted));
  EXPECT_EQ(Lines().size(), CallLog::kLinesPerSecond);
  clock_.Advance(std::chrono::seconds(1));
  EXPECT_THAT(Lines(), ElementsAre(HasSubstr("left_out=7")));
  calls_.Ended(End(Outcome::kNotExecuted));
  EXPECT_EQ(Lines().size(), 1u);
  clock_.Advance(std::chrono::seconds(5));
  EXPECT_THAT(Lines(), IsEmpty());
}

TEST_F(CallLogTest, ABusyGatewayDoesNotFloodTheLoop) {
  SetLevel(Level::kDebug);
  for (uint32_t i = 0; i < CallLog::kWaitingLines + 9; ++i) calls_.Ended(End(Outcome::kOk));
  EXPECT_EQ(Lines().size(), CallLog::kWaitingLines);
  calls_.Ended(End(Outcome::kOk));
  clock_.Advance(std::chrono::seconds(1));
  EXPECT_THAT(Lines(), ElementsAre(HasSubstr("left_out=9"), HasSubstr("outcome=ok")));
}

}  // namespace
}  // namespace plugind
