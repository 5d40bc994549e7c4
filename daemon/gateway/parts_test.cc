// The engine's small parts by themselves: what waits, in which order, and the texts of gRPC.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <map>

#include "daemon/base/unique_fd.h"
#include "daemon/gateway/body_queue.h"
#include "daemon/gateway/call_timers.h"
#include "daemon/gateway/grpc_wire.h"
#include "daemon/gateway/metadata.h"
#include "daemon/gateway/output.h"
#include "daemon/gateway/spin.h"
#include "daemon/gateway/token_bucket.h"

namespace plugind::gateway {
namespace {

using std::chrono::hours;
using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using std::chrono::seconds;

// ── BodyQueue

RC_GTEST_PROP(BodyQueueTest, WhatComesOutIsWhatWentIn, ()) {
  BodyQueue queue;
  std::string expected;
  // What is borrowed stays where it is until Settle().
  std::vector<std::unique_ptr<std::string>> buffers;
  for (const int step : *rc::gen::container<std::vector<int>>(rc::gen::inRange(0, 100))) {
    if (step < 40) {
      buffers.push_back(std::make_unique<std::string>(static_cast<size_t>(step) * 300, 'a' + step));
      queue.Borrow(*buffers.back());
      expected += *buffers.back();
    } else if (step < 80 && !queue.empty()) {
      bool owned = false;
      const std::string_view piece = queue.Take(static_cast<size_t>(step - 39) * 100, &owned);
      RC_ASSERT(!piece.empty());
      RC_ASSERT(piece == std::string_view(expected).substr(0, piece.size()));
      expected.erase(0, piece.size());
    } else if (step < 95) {
      queue.Settle();
      for (const auto& buffer : buffers) buffer->assign(buffer->size(), '!');
      buffers.clear();
      RC_ASSERT(queue.kept() == expected.size());
    } else {
      queue.Trim();
    }
    RC_ASSERT(queue.size() == expected.size());
    RC_ASSERT(queue.kept() <= expected.size());
  }
}

// ── Output

class OutputTest : public testing::Test {
 protected:
  OutputTest() {
    int pair[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0) {
      std::abort();
    }
    ours_ = UniqueFd(pair[0]);
    theirs_ = UniqueFd(pair[1]);
  }
  std::string ReadAll() {
    std::string all;
    std::array<char, 65536> buffer;
    ssize_t size = 0;
    while ((size = ::recv(theirs_.get(), buffer.data(), buffer.size(), MSG_DONTWAIT)) > 0) {
      all.append(buffer.data(), static_cast<size_t>(size));
    }
    return all;
  }
  UniqueFd ours_;
  UniqueFd theirs_;
};

TEST_F(OutputTest, CopiesAndReferencesGoOutInOrder) {
  Output output;
  const std::string body(5000, 'b');
  output.Copy("head");
  output.Refer(body);
  output.Copy("tail");
  EXPECT_EQ(output.size(), 5008U);
  EXPECT_EQ(output.end(), 5008U);
  EXPECT_EQ(output.WriteTo(ours_.get()), Output::Result::kDone);
  EXPECT_EQ(ReadAll(), "head" + body + "tail");
  EXPECT_EQ(output.written(), 5008U);
  EXPECT_TRUE(output.empty());
}

TEST_F(OutputTest, AFullSocketBlocksAndNothingIsLost) {
  Output output;
  std::string expected;
  std::string received;
  for (int round = 0; round < 50; ++round) {
    std::string body(40'000, static_cast<char>('a' + round % 26));
    output.Copy("head");
    output.Refer(body);
    expected += "head" + body;
    const Output::Result result = output.WriteTo(ours_.get());
    ASSERT_NE(result, Output::Result::kFailed);
    EXPECT_EQ(result == Output::Result::kDone, output.empty());
    output.Settle();
    body.assign(body.size(), '!');  // it is not looked at any more
    if (round % 7 == 0) received += ReadAll();
  }
  while (!output.empty()) {
    received += ReadAll();
    ASSERT_NE(output.WriteTo(ours_.get()), Output::Result::kFailed);
  }
  received += ReadAll();
  EXPECT_TRUE(received == expected);
  EXPECT_EQ(output.written(), expected.size());
}

TEST_F(OutputTest, APeerThatIsGoneIsAFailureAndNoSignal) {
  Output output;
  theirs_.reset();
  output.Copy("x");
  EXPECT_EQ(output.WriteTo(ours_.get()), Output::Result::kFailed);
}

// ── CallTimers

RC_GTEST_PROP(CallTimersTest, TheyExpireAsAMultimapOfThemWould, ()) {
  constexpr size_t kTimers = 20;
  std::array<CallTimer, kTimers> timers;
  CallTimers heap;
  std::map<size_t, Instant> expected;
  Instant now{};
  for (const int step : *rc::gen::container<std::vector<int>>(rc::gen::inRange(0, 2000))) {
    const size_t index = static_cast<size_t>(step) % kTimers;
    const int what = step / static_cast<int>(kTimers) % 4;
    if (what < 2) {
      const Instant when = now + milliseconds(step % 97);
      heap.Set(timers[index], when);
      expected[index] = when;
    } else if (what == 2) {
      heap.Clear(timers[index]);
      expected.erase(index);
    } else {
      now += milliseconds(step % 13);
      Instant last{};
      heap.TakeDue(now, [&](CallTimer& timer) {
        const auto place = static_cast<size_t>(&timer - timers.data());
        RC_ASSERT(expected.contains(place));
        RC_ASSERT(expected.at(place) == timer.due);
        RC_ASSERT(timer.due >= last && timer.due <= now);
        RC_ASSERT(!timer.armed());
        last = timer.due;
        expected.erase(place);
      });
      for (const auto& [place, when] : expected) RC_ASSERT(when > now);
    }
    std::optional<Instant> earliest;
    for (const auto& [place, when] : expected) {
      RC_ASSERT(timers[place].armed());
      if (!earliest || when < *earliest) earliest = when;
    }
    RC_ASSERT(heap.Next() == earliest);
  }
}

// ── gRPC's texts

TEST(TimeoutTest, IsAtMostEightDigitsAndAUnit) {
  EXPECT_EQ(ParseTimeout("100m"), milliseconds(100));
  EXPECT_EQ(ParseTimeout("0n"), nanoseconds(0));
  EXPECT_EQ(ParseTimeout("99999999S"), seconds(99'999'999));
  EXPECT_EQ(ParseTimeout("99999999H"), Duration::max()) << "beyond what 64 bits hold";
  for (const char* bad :
       {"", "m", "1", "123456789m", "-1m", "+1m", " 1m", "1 m", "1x", "1mm", "0x1m", "1.5S"}) {
    EXPECT_EQ(ParseTimeout(bad), std::nullopt) << bad;
  }
}

TEST(TimeoutTest, IsPassedOnInTheFinestUnitThatHoldsIt) {
  EXPECT_EQ(FormatTimeout(nanoseconds(99'999'999)), "99999999n");
  EXPECT_EQ(FormatTimeout(milliseconds(100)), "100000u");
  EXPECT_EQ(FormatTimeout(hours(24)), "86400000m");
  EXPECT_EQ(FormatTimeout(nanoseconds(-5)), "0n");
}

TEST(PercentEncodeTest, LeavesPrintableAsciiAndEscapesTheRest) {
  EXPECT_EQ(PercentEncode("plain text"), "plain text");
  EXPECT_EQ(PercentEncode("100% \xc3\xa9\n"), "100%25 %C3%A9%0A");
}

TEST(ErrorInfoTest, IsWhatProtocolBuffersWouldMakeOfIt) {
  // google.rpc.Status{14, "m", [ErrorInfo{"R", "plugind", {"k": "v"}}]}
  EXPECT_EQ(EncodeErrorInfo(Code::kUnavailable, "m", "R", {{"k", "v"}}),
            "CA4SAW0aQAoodHlwZS5nb29nbGVhcGlzLmNvbS9nb29nbGUucnBjLkVycm9ySW5mbxIUCgFSEgdwbHVnaW5kGg"
            "YKAWsSAXY");
}

TEST(MetadataTest, IsPassedReadTakenOutOrRefused) {
  EXPECT_EQ(Classify("x-custom", "v"), HeaderKind::kPass);
  EXPECT_EQ(Classify("x-bin", "AAEC"), HeaderKind::kPass);
  EXPECT_EQ(Classify("grpc-encoding", "gzip"), HeaderKind::kPass);
  for (const char* name : {":path", ":anything", "te", "host", "grpc-timeout", "traceparent"}) {
    EXPECT_EQ(Classify(name, "v"), HeaderKind::kConsumed) << name;
  }
  for (const char* name : {"connection", "keep-alive", "proxy-connection", "transfer-encoding",
                           "upgrade", "content-length"}) {
    EXPECT_EQ(Classify(name, "v"), HeaderKind::kHop) << name;
  }
  for (const char* name : {"plugind-", "plugind-caller", "plugind-x"}) {
    EXPECT_EQ(Classify(name, "v"), HeaderKind::kReserved) << name;
  }
  for (const char* name : {"", "X", "a b", "a/b", "a\x7f", "\xc3\xa9"}) {
    EXPECT_EQ(Classify(name, "v"), HeaderKind::kIllegal) << name;
  }
  for (const char* value : {"\n", "\t", "\x7f", "\x80", "a\rb"}) {
    EXPECT_EQ(Classify("x", value), HeaderKind::kIllegal) << value;
  }
}

TEST(TraceparentTest, IsCheckedAndMade) {
  const std::string good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  EXPECT_TRUE(IsTraceparent(good));
  EXPECT_EQ(TraceId(good), "0af7651916cd43dd8448eb211c80319c");
  for (const size_t at : {0U, 2U, 5U, 35U, 40U, 52U, 54U}) {
    std::string bad = good;
    bad[at] = 'X';
    EXPECT_FALSE(IsTraceparent(bad)) << at;
  }
  EXPECT_FALSE(IsTraceparent(good + "-x"));
  EXPECT_FALSE(IsTraceparent("00-00000000000000000000000000000000-b7ad6b7169203331-01"));
  EXPECT_FALSE(IsTraceparent("00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01"));
  const std::string made = NewTraceparent();
  EXPECT_TRUE(IsTraceparent(made));
  EXPECT_NE(TraceId(made), TraceId(NewTraceparent()));
}

// ── Pace

TEST(TokenBucketTest, HasABurstAndARate) {
  Instant now{};
  TokenBucket bucket(10, 5, now);
  for (int i = 0; i < 10; ++i) EXPECT_TRUE(bucket.Take(now));
  EXPECT_FALSE(bucket.Take(now));
  now += seconds(1);
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(bucket.Take(now));
  EXPECT_FALSE(bucket.Take(now));
  now += hours(1);
  for (int i = 0; i < 10; ++i) EXPECT_TRUE(bucket.Take(now));
  EXPECT_FALSE(bucket.Take(now));
}

class SpinTest : public ::testing::Test {
 protected:
  // How often it polls, when every poll takes `each` and finds what there is at `found_after`.
  int Polls(Duration each, int found_after = 1'000'000) {
    int polls = 0;
    found_ = spin_.Poll(clock_, [&] {
      clock_.Advance(each);
      return ++polls >= found_after ? 1 : 0;
    });
    return polls;
  }

  FakeClock clock_;
  Spin spin_;
  int found_ = 0;
};

TEST_F(SpinTest, AnIdleThreadNeverSpins) {
  spin_.SawTraffic(clock_.Now());
  EXPECT_EQ(Polls(microseconds(1)), 0) << "it is off until it is told its bound";
  spin_.SetBound(microseconds(50));
  clock_.Advance(milliseconds(3));
  EXPECT_EQ(Polls(microseconds(1)), 0) << "no call has passed for a while";
}

TEST_F(SpinTest, PollsUntilItFindsSomethingOrItsBoundIsOver) {
  spin_.SetBound(microseconds(50));
  spin_.SawTraffic(clock_.Now());
  EXPECT_EQ(Polls(microseconds(1), 7), 7);
  EXPECT_EQ(found_, 1);
  EXPECT_EQ(Polls(microseconds(1)), 50);
  EXPECT_EQ(found_, 0);
}

TEST_F(SpinTest, RestsWhenItHasFoundNothingAFewTimes) {
  spin_.SetBound(microseconds(50));
  spin_.SawTraffic(clock_.Now());
  for (int i = 0; i < 4; ++i) EXPECT_EQ(Polls(microseconds(1)), 50);
  EXPECT_EQ(Polls(microseconds(1)), 0);
  clock_.Advance(milliseconds(1));
  spin_.SawTraffic(clock_.Now());
  EXPECT_EQ(Polls(microseconds(1)), 50);
}

TEST_F(SpinTest, LeavesTheProcessorToWhoeverComputes) {
  spin_.SetBound(milliseconds(1));
  spin_.SawTraffic(clock_.Now());
  EXPECT_EQ(Polls(microseconds(300)), 1) << "somebody else had the processor in between";
  clock_.Advance(milliseconds(9));
  spin_.SawTraffic(clock_.Now());
  EXPECT_EQ(Polls(microseconds(1), 1), 0);
  clock_.Advance(milliseconds(1));
  spin_.SawTraffic(clock_.Now());
  EXPECT_EQ(Polls(microseconds(1), 1), 1);
}

}  // namespace
}  // namespace plugind::gateway
