// Calls across trouble: a plugin that restarts, refuses, drains or dies.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "daemon/gateway/call.h"
#include "daemon/gateway/testing/engine.h"

namespace plugind::gateway::testing {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::HasSubstr;

class CallTroubleTest : public ::testing::Test {
 protected:
  void TearDown() override {
    const Sums sums = engine_.sums();
    EXPECT_EQ(sums.admitted, sums.Ended()) << "every call has one end";
    EXPECT_EQ(engine_.load->in_flight.load(), 0U);
  }

  void TakeAway(Availability availability = Availability::kComing) {
    engine_.route.availability = availability;
    engine_.route.reason = "echo is BACKOFF: exit code 1";
    engine_.route.instances.clear();
    engine_.Publish();
  }
  void BringBack() {
    engine_.route.availability = Availability::kReady;
    engine_.route.instances = {engine_.plugin.instance()};
    engine_.Publish();
    engine_.Settle();
  }
  PeerStream& Begin(Http2Peer& caller, const Fields& more = {}) {
    PeerStream& stream = caller.Call(kEcho, more);
    caller.Send(stream, "hello");
    caller.End(stream);
    engine_.Settle();
    return stream;
  }
  void MakeIdempotent() {
    engine_.route.idempotent = {kEcho};
    engine_.Publish();
  }

  Engine engine_;
};

// ── Held

TEST_F(CallTroubleTest, ACallIsHeldUntilItsPluginIsBack) {
  TakeAway();
  Http2Peer& caller = engine_.Connect();
  PeerStream& stream = Begin(caller);
  engine_.Advance(seconds(9));
  EXPECT_FALSE(stream.ended);
  BringBack();
  EXPECT_EQ(stream.body, "hello");
  EXPECT_EQ(stream.Field("grpc-status"), "0");
}

TEST_F(CallTroubleTest, ButNotForEver) {
  TakeAway();
  Http2Peer& caller = engine_.Connect();
  PeerStream& stream = Begin(caller);
  engine_.Advance(seconds(10));
  EXPECT_EQ(stream.Field("grpc-status"), "14");
  EXPECT_EQ(stream.Field("plugind-executed"), "no");
  EXPECT_THAT(stream.Field("grpc-message"), HasSubstr("BACKOFF"));
  EXPECT_EQ(engine_.sums().Of(Outcome::kNotExecuted), 1U);
}

TEST_F(CallTroubleTest, AHeldCallKeepsItsDeadlineAndMayBeCancelled) {
  TakeAway();
  Http2Peer& caller = engine_.Connect();
  PeerStream& stream = Begin(caller, {{"grpc-timeout", "1S"}});
  PeerStream& cancelled = Begin(caller);
  caller.Reset(cancelled, NGHTTP2_CANCEL);
  engine_.Advance(seconds(1));
  EXPECT_EQ(stream.Field("grpc-status"), "4");
  EXPECT_THAT(stream.Field("grpc-message"), HasSubstr("waited"));
  BringBack();
  EXPECT_EQ(engine_.plugin.executed, 0);
  EXPECT_EQ(engine_.sums().Of(Outcome::kCancelled), 1U);
}

TEST_F(CallTroubleTest, APluginThatWillNotComeIsNotWaitedFor) {
  TakeAway(Availability::kAbsent);
  const PeerStream answer = engine_.Unary();
  EXPECT_EQ(answer.Field("grpc-status"), "14");
  EXPECT_EQ(answer.Field("plugind-executed"), "no");
}

TEST_F(CallTroubleTest, AHeldCallOfAPluginThatIsRemovedEnds) {
  TakeAway();
  Http2Peer& caller = engine_.Connect();
  PeerStream& stream = Begin(caller);
  engine_.table.plugins.clear();
  engine_.worker().TakeRoutes(std::make_shared<const RouteTable>(engine_.table));
  engine_.Settle();
  EXPECT_EQ(stream.Field("grpc-status"), "14");
  EXPECT_EQ(stream.Field("plugind-executed"), "no");
}

TEST(HoldTest, BeyondItsBoundTheQueueTakesNoMore) {
  Limits limits;
  limits.held_calls = 2;
  Engine engine(limits);
  engine.route.availability = Availability::kComing;
  engine.route.instances.clear();
  engine.Publish();
  Http2Peer& caller = engine.Connect();
  std::vector<PeerStream*> streams;
  for (int i = 0; i < 3; ++i) {
    streams.push_back(&caller.Call(kEcho));
    caller.End(*streams.back());
  }
  engine.Settle();
  EXPECT_FALSE(streams[1]->ended);
  EXPECT_EQ(streams[2]->Field("grpc-status"), "8");
  engine.route.availability = Availability::kReady;
  engine.route.instances = {engine.plugin.instance()};
  engine.Publish();
  engine.Settle();
  EXPECT_EQ(streams[0]->Field("grpc-status"), "0");
  EXPECT_EQ(streams[1]->Field("grpc-status"), "0");
}

TEST_F(CallTroubleTest, APluginThatCannotBeConnectedToIsTriedAgain) {
  engine_.plugin.accepts = false;
  Http2Peer& caller = engine_.Connect();
  PeerStream& stream = Begin(caller);
  engine_.Advance(milliseconds(20));
  EXPECT_FALSE(stream.ended);
  engine_.plugin.accepts = true;
  engine_.Advance(milliseconds(20));
  EXPECT_EQ(stream.Field("grpc-status"), "0");
}

// ── Refused, drained

TEST_F(CallTroubleTest, ARefusedCallIsSentAgainAndExecutedOnce) {
  int refusals = 3;
  engine_.plugin.on_request = [&](Http2Peer& peer, PeerStream& stream) {
    if (refusals-- > 0) return peer.Reset(stream, NGHTTP2_REFUSED_STREAM);
    Answer(peer, stream, stream.body);
  };
  Http2Peer& caller = engine_.Connect();
  PeerStream& stream = Begin(caller);
  for (int i = 0; i < 5; ++i) engine_.Advance(milliseconds(20));
  EXPECT_EQ(stream.body, "hello");
  EXPECT_EQ(stream.Field("grpc-status"), "0");
  EXPECT_EQ(engine_.sums().resent, 3U);
}

TEST_F(CallTroubleTest, APluginThatAlwaysRefusesIsGivenUpWithoutExecution) {
  engine_.plugin.on_request = [](Http2Peer& peer, PeerStream& stream) {
    peer.Reset(stream, NGHTTP2_REFUSED_STREAM);
  };
  Http2Peer& caller = engine_.Connect();
  PeerStream& stream = Begin(caller);
  for (int i = 0; i < 600 && !stream.ended; ++i) engine_.Advance(milliseconds(20));
  EXPECT_EQ(stream.Field("grpc-status"), "14");
  EXPECT_EQ(stream.Field("plugind-executed"), "no");
  EXPECT_LE(engine_.plugin.executed, 510) << "no more than one attempt each 20 ms";
}

TEST_F(CallTroubleTest, APluginThatSaysGoawayAnswersWhatRunsAndGetsNoMore) {
  engine_.plugin.on_request = nullptr;
  Http2Peer& caller = engine_.Connect();
  PeerStream& first = Begin(caller);
  Http2Peer& old = engine_.plugin.connection();
  nghttp2_submit_goaway(old.session(), NGHTTP2_FLAG_NONE, 1, NGHTTP2_NO_ERROR, nullptr, 0);
  engine_.Settle();
  Begin(caller);
  ASSERT_EQ(engine_.plugin.connections.size(), 2U);
  EXPECT_EQ(old.streams().size(), 1U);
  Answer(old, *old.streams().at(1), "from the old one");
  engine_.Settle();
  EXPECT_EQ(first.body, "from the old one");
  EXPECT_FALSE(old.open());
  caller.HangUp();
  engine_.Settle();
}

// The request is in the session's queue when the GOAWAY is read.
TEST_F(CallTroubleTest, ACallThatWaitsForRoomWhenThePluginSaysGoawayGoesElsewhere) {
  engine_.plugin.options.settings = {{NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 1}};
  engine_.plugin.on_request = nullptr;
  Http2Peer& caller = engine_.Connect();
  std::vector<PeerStream*> streams;
  // One runs on each connection that there may be, and one waits.
  for (size_t i = 0; i < Limits::kConnectionsPerInstance + 1; ++i)
    streams.push_back(&Begin(caller));
  ASSERT_EQ(engine_.plugin.connections.size(), Limits::kConnectionsPerInstance);
  EXPECT_EQ(engine_.plugin.executed, 16);
  engine_.plugin.on_request = [](Http2Peer& peer, PeerStream& stream) {
    Answer(peer, stream, "x");
  };
  for (auto& connection : engine_.plugin.connections) {
    nghttp2_submit_goaway(connection->session(), NGHTTP2_FLAG_NONE, 1, NGHTTP2_NO_ERROR, nullptr,
                          0);
  }
  for (int i = 0; i < 3; ++i) engine_.Advance(milliseconds(20));
  // Those that run make room only when they end.
  for (size_t i = 0; i < Limits::kConnectionsPerInstance; ++i) {
    Http2Peer& old = *engine_.plugin.connections[i];
    Answer(old, *old.streams().at(1), "x");
  }
  for (int i = 0; i < 3; ++i) engine_.Advance(milliseconds(20));
  for (PeerStream* stream : streams) EXPECT_EQ(stream->Field("grpc-status"), "0");
  EXPECT_EQ(engine_.plugin.executed, 17);
}

TEST_F(CallTroubleTest, MoreConnectionsAreOpenedWhereAPluginLimitsItsStreams) {
  engine_.plugin.options.settings = {{NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 2}};
  engine_.plugin.on_request = nullptr;
  Http2Peer& caller = engine_.Connect();
  for (int i = 0; i < 6; ++i) Begin(caller);
  EXPECT_EQ(engine_.plugin.connections.size(), 3U);
  EXPECT_EQ(engine_.plugin.executed, 6);
  caller.HangUp();
  engine_.Settle();
}

TEST_F(CallTroubleTest, AnInstanceThatLeavesTheTableEndsItsCallsAndIsHungUpOn) {
  engine_.plugin.on_request = nullptr;
  Http2Peer& caller = engine_.Connect();
  PeerStream& stream = Begin(caller);
  TakeAway();
  engine_.Settle();
  EXPECT_TRUE(engine_.plugin.connection().open());
  Answer(engine_.plugin.connection(), engine_.plugin.stream(), "last");
  engine_.Settle();
  EXPECT_EQ(stream.body, "last");
  EXPECT_FALSE(engine_.plugin.connection().open());
}

// ── Death

TEST_F(CallTroubleTest, APluginThatDiesOverACallMayHaveExecutedIt) {
  engine_.plugin.on_request = [](Http2Peer& peer, PeerStream&) { peer.HangUp(); };
  const PeerStream answer = engine_.Unary();
  EXPECT_EQ(answer.Field("grpc-status"), "14");
  EXPECT_EQ(answer.Field("plugind-executed"), "maybe");
  EXPECT_EQ(engine_.plugin.executed, 1);
  EXPECT_EQ(engine_.sums().Of(Outcome::kMaybeExecuted), 1U);
}

TEST_F(CallTroubleTest, AnIdempotentCallIsThenSentAgain) {
  MakeIdempotent();
  engine_.plugin.on_request = [&](Http2Peer& peer, PeerStream& stream) {
    if (engine_.plugin.executed == 1) return peer.HangUp();
    Answer(peer, stream, stream.body);
  };
  const PeerStream answer = engine_.Unary();
  EXPECT_EQ(answer.body, "hello");
  EXPECT_EQ(engine_.plugin.executed, 2);
  EXPECT_EQ(engine_.sums().resent, 1U);
}

TEST_F(CallTroubleTest, ButNotOnceItsAnswerHasBegun) {
  MakeIdempotent();
  engine_.plugin.on_request = [](Http2Peer& peer, PeerStream& stream) {
    peer.Respond(stream, {{":status", "200"}, {"content-type", "application/grpc"}});
    peer.Send(stream, "half");
  };
  Http2Peer& caller = engine_.Connect();
  PeerStream& stream = Begin(caller);
  engine_.plugin.connection().HangUp();
  engine_.Settle();
  EXPECT_EQ(stream.body, "half");
  EXPECT_EQ(Find(stream.trailers, "grpc-status"), "14");
  EXPECT_EQ(Find(stream.trailers, "plugind-executed"), "maybe");
  EXPECT_EQ(engine_.plugin.executed, 1);
}

TEST_F(CallTroubleTest, AnIdempotentCallIsSentFiveTimesAtMost) {
  MakeIdempotent();
  engine_.plugin.on_request = [](Http2Peer& peer, PeerStream&) { peer.HangUp(); };
  Http2Peer& caller = engine_.Connect();
  PeerStream& stream = Begin(caller);
  for (int i = 0; i < 10; ++i) engine_.Advance(milliseconds(20));
  EXPECT_EQ(stream.Field("plugind-executed"), "maybe");
  EXPECT_EQ(engine_.plugin.executed, 5);
}

TEST_F(CallTroubleTest, RetriesHaveABudgetThatCallsFill) {
  MakeIdempotent();
  engine_.load->retry_budget = 100;
  engine_.plugin.on_request = [](Http2Peer& peer, PeerStream&) { peer.HangUp(); };
  engine_.Unary();
  // The call itself has added 20; one retry was left.
  EXPECT_EQ(engine_.plugin.executed, 2);
  EXPECT_EQ(engine_.load->retry_budget.load(), 20);
  for (int i = 0; i < 4; ++i) engine_.Unary();
  EXPECT_EQ(engine_.plugin.executed, 7) << "the fourth has filled it up again";
}

TEST_F(CallTroubleTest, ABodyTooLongToRememberIsNotSentAgain) {
  MakeIdempotent();
  engine_.plugin.on_request = [](Http2Peer& peer, PeerStream&) { peer.HangUp(); };
  const PeerStream answer = engine_.Unary({}, std::string(Limits::kReplayBytes + 1, 'x'));
  EXPECT_EQ(answer.Field("plugind-executed"), "maybe");
  EXPECT_EQ(engine_.plugin.executed, 1);
}

TEST_F(CallTroubleTest, ABodyThatIsSentAgainIsWhole) {
  MakeIdempotent();
  std::string body;
  for (int i = 0; i < 10000; ++i) body += std::to_string(i % 10);
  int deaths = 2;
  engine_.plugin.on_request = [&](Http2Peer& peer, PeerStream& stream) {
    if (deaths-- > 0) return peer.HangUp();
    Answer(peer, stream, stream.body);
  };
  Http2Peer& caller = engine_.Connect();
  PeerStream& stream = caller.Call(kEcho);
  caller.Send(stream, body.substr(0, 5000));
  engine_.Settle();
  caller.Send(stream, body.substr(5000));
  caller.End(stream);
  for (int i = 0; i < 4; ++i) engine_.Advance(milliseconds(20));
  EXPECT_EQ(stream.body, body);
}

}  // namespace
}  // namespace plugind::gateway::testing
