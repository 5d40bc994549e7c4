// A call's way through the engine when nobody misbehaves.
#include "daemon/gateway/call.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "daemon/gateway/testing/engine.h"

namespace plugind::gateway::testing {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::HasSubstr;

class CallTest : public ::testing::Test {
 protected:
  void TearDown() override {
    const Sums sums = engine_.sums();
    EXPECT_EQ(sums.admitted, sums.Ended()) << "every call has one end";
    EXPECT_EQ(engine_.load->in_flight.load(), 0U);
  }

  // A call that goes on until the test ends it.
  PeerStream& Begin(Http2Peer& caller, const Fields& more = {}) {
    PeerStream& stream = caller.Call(kEcho, more);
    engine_.Settle();
    return stream;
  }

  Engine engine_;
};

TEST_F(CallTest, AUnaryCallPassesWithItsBodyAndItsTrailers) {
  engine_.plugin.on_request = [](Http2Peer& peer, PeerStream& stream) {
    Answer(peer, stream, stream.body + "!", {{"grpc-status", "0"}, {"x-of-plugin", "yes"}});
  };
  const PeerStream answer = engine_.Unary({{"x-of-caller", "1"}}, Message("hello"));
  EXPECT_EQ(answer.body, Message("hello") + "!");
  EXPECT_EQ(Find(answer.headers, ":status"), "200");
  EXPECT_EQ(Find(answer.trailers, "grpc-status"), "0");
  EXPECT_EQ(Find(answer.trailers, "x-of-plugin"), "yes");
  EXPECT_EQ(answer.closed, 0U);
  EXPECT_EQ(engine_.sums().Of(Outcome::kOk), 1U);
  const PeerStream& request = engine_.plugin.stream();
  EXPECT_EQ(request.Field("x-of-caller"), "1");
  EXPECT_EQ(request.Field("plugind-caller"), "uid:1000");
  EXPECT_EQ(request.Field(":path"), kEcho);
}

TEST_F(CallTest, AnAnswerOfTrailersAloneStaysOne) {
  engine_.plugin.on_request = [](Http2Peer& peer, PeerStream& stream) {
    peer.Respond(stream,
                 {{":status", "200"}, {"content-type", "application/grpc"}, {"grpc-status", "5"}},
                 true);
  };
  const PeerStream answer = engine_.Unary();
  EXPECT_EQ(Find(answer.headers, "grpc-status"), "5");
  EXPECT_TRUE(answer.trailers.empty());
  EXPECT_TRUE(answer.ended);
  EXPECT_EQ(engine_.ends.at(0).code, 5);
  EXPECT_EQ(engine_.ends.at(0).outcome, Outcome::kError);
}

TEST_F(CallTest, AStreamPassesMessageByMessageInBothDirections) {
  engine_.plugin.on_headers = [](Http2Peer& peer, PeerStream& stream) {
    peer.Respond(stream, {{":status", "200"}, {"content-type", "application/grpc"}});
  };
  engine_.plugin.on_request = [](Http2Peer& peer, PeerStream& stream) {
    peer.End(stream, {{"grpc-status", "0"}});
  };
  Http2Peer& caller = engine_.Connect();
  PeerStream& stream = Begin(caller);
  EXPECT_TRUE(stream.answered);
  for (const std::string text : {"one", "two", "three"}) {
    caller.Send(stream, text);
    engine_.Settle();
    EXPECT_THAT(engine_.plugin.stream().body, ::testing::EndsWith(text));
    engine_.plugin.connection().Send(engine_.plugin.stream(), text + "'");
    engine_.Settle();
    EXPECT_THAT(stream.body, ::testing::EndsWith(text + "'"));
  }
  EXPECT_FALSE(stream.ended);
  caller.End(stream);
  engine_.Settle();
  EXPECT_EQ(stream.body, "one'two'three'");
  EXPECT_EQ(stream.Field("grpc-status"), "0");
}

TEST_F(CallTest, InterimAnswersAreLeftOut) {
  engine_.plugin.on_headers = [](Http2Peer& peer, PeerStream& stream) {
    const Fields early = {{":status", "103"}, {"link", "x"}};
    const nghttp2_nv header = {
        reinterpret_cast<uint8_t*>(const_cast<char*>(early[0].first.data())),
        reinterpret_cast<uint8_t*>(const_cast<char*>(early[0].second.data())), 7, 3,
        NGHTTP2_NV_FLAG_NONE};
    nghttp2_submit_headers(peer.session(), NGHTTP2_FLAG_NONE, stream.id, nullptr, &header, 1,
                           nullptr);
  };
  const PeerStream answer = engine_.Unary();
  EXPECT_EQ(Find(answer.headers, ":status"), "200");
  EXPECT_EQ(answer.body, "hello");
}

TEST_F(CallTest, ACallersCancellationReachesThePlugin) {
  engine_.plugin.on_request = nullptr;
  Http2Peer& caller = engine_.Connect();
  PeerStream& stream = Begin(caller);
  caller.Reset(stream, NGHTTP2_CANCEL);
  engine_.Settle();
  EXPECT_EQ(engine_.plugin.stream().closed, NGHTTP2_CANCEL);
  EXPECT_EQ(engine_.sums().Of(Outcome::kCancelled), 1U);
}

TEST_F(CallTest, ACallerThatHangsUpCancelsAllItsCalls) {
  engine_.plugin.on_request = nullptr;
  Http2Peer& caller = engine_.Connect();
  Begin(caller);
  Begin(caller);
  caller.HangUp();
  engine_.Settle();
  EXPECT_EQ(engine_.sums().Of(Outcome::kCancelled), 2U);
  for (const auto& [id, stream] : engine_.plugin.connection().streams()) {
    EXPECT_EQ(stream->closed, NGHTTP2_CANCEL);
  }
}

TEST_F(CallTest, AResetByThePluginIsAnErrorWithTheCodeThatGrpcGivesIt) {
  engine_.plugin.on_request = [](Http2Peer& peer, PeerStream& stream) {
    peer.Reset(stream, NGHTTP2_ENHANCE_YOUR_CALM);
  };
  const PeerStream answer = engine_.Unary();
  EXPECT_EQ(answer.Field("grpc-status"), "8");
  EXPECT_THAT(answer.Field("grpc-message"), HasSubstr("ENHANCE_YOUR_CALM"));
}

TEST_F(CallTest, TheDeadlineIsPassedOnLessTheTimeAlreadySpent) {
  engine_.route.availability = Availability::kComing;
  engine_.route.instances.clear();
  engine_.Publish();
  Http2Peer& caller = engine_.Connect();
  PeerStream& stream = Begin(caller, {{"grpc-timeout", "5S"}});
  caller.End(stream);
  engine_.Advance(milliseconds(1500));
  engine_.route.availability = Availability::kReady;
  engine_.route.instances = {engine_.plugin.instance()};
  engine_.Publish();
  engine_.Settle();
  EXPECT_EQ(engine_.plugin.stream().Field("grpc-timeout"), "3500000u");
  EXPECT_EQ(stream.Field("grpc-status"), "0");
}

TEST_F(CallTest, TheDeadlineIsEnforcedThoughThePluginHangs) {
  engine_.plugin.on_request = nullptr;
  Http2Peer& caller = engine_.Connect();
  PeerStream& stream = Begin(caller, {{"grpc-timeout", "100m"}});
  engine_.Advance(milliseconds(99));
  EXPECT_FALSE(stream.ended);
  engine_.Advance(milliseconds(1));
  EXPECT_EQ(stream.Field("grpc-status"), "4");
  EXPECT_EQ(engine_.plugin.stream().closed, NGHTTP2_CANCEL);
  EXPECT_EQ(engine_.sums().Of(Outcome::kDeadline), 1U);
}

TEST_F(CallTest, APluginThatResetsACallAtItsDeadlineHasNotCancelledIt) {
  engine_.plugin.on_request = nullptr;
  for (const auto& [at, code] : {std::pair(milliseconds(50), "1"), {milliseconds(99), "4"}}) {
    Http2Peer& caller = engine_.Connect();
    PeerStream& stream = Begin(caller, {{"grpc-timeout", "100m"}});
    engine_.Advance(at);
    const auto& [id, asked] = *engine_.plugin.connection().streams().rbegin();
    engine_.plugin.connection().Reset(*asked, NGHTTP2_CANCEL);
    engine_.Settle();
    EXPECT_EQ(stream.Field("grpc-status"), code);
  }
  EXPECT_EQ(engine_.sums().Of(Outcome::kDeadline), 1U);
}

TEST_F(CallTest, TheDeadlineEndsAnAnswerThatHasBegun) {
  engine_.plugin.on_headers = [](Http2Peer& peer, PeerStream& stream) {
    peer.Respond(stream, {{":status", "200"}, {"content-type", "application/grpc"}});
    peer.Send(stream, "part");
  };
  Http2Peer& caller = engine_.Connect();
  PeerStream& stream = Begin(caller, {{"grpc-timeout", "1S"}});
  engine_.Advance(seconds(1));
  EXPECT_EQ(stream.body, "part");
  EXPECT_EQ(Find(stream.trailers, "grpc-status"), "4");
}

TEST_F(CallTest, ACallWithoutADeadlineTakesThePlugins) {
  engine_.route.timeout = seconds(2);
  engine_.Publish();
  engine_.plugin.on_request = nullptr;
  Http2Peer& caller = engine_.Connect();
  PeerStream& stream = Begin(caller);
  EXPECT_EQ(engine_.plugin.stream().Field("grpc-timeout"), "2000000u");
  engine_.Advance(seconds(2));
  EXPECT_EQ(stream.Field("grpc-status"), "4");
}

TEST_F(CallTest, AnEarlyAnswerStopsTheRequestThatStillFlows) {
  engine_.plugin.on_headers = [](Http2Peer& peer, PeerStream& stream) {
    Answer(peer, stream, "enough");
  };
  engine_.plugin.on_request = nullptr;
  Http2Peer& caller = engine_.Connect();
  PeerStream& stream = caller.Call(kEcho);
  caller.Send(stream, std::string(1'000'000, 'x'));
  engine_.Settle();
  EXPECT_EQ(stream.body, "enough");
  EXPECT_EQ(stream.Field("grpc-status"), "0");
  EXPECT_EQ(stream.closed, NGHTTP2_NO_ERROR);
  EXPECT_TRUE(engine_.plugin.stream().closed);
  EXPECT_EQ(engine_.sums().Of(Outcome::kOk), 1U);
}

TEST_F(CallTest, WhatIsNotForACallerToSayIsTakenOut) {
  engine_.Unary({{"plugind-caller", "uid:0"},
                 {"plugind-role", "admin"},
                 {"plugind-anything", "x"},
                 {"user-agent", "me"}});
  const PeerStream& request = engine_.plugin.stream();
  EXPECT_EQ(request.Field("plugind-role"), "");
  EXPECT_EQ(request.Field("plugind-anything"), "");
  EXPECT_EQ(request.Field("user-agent"), "me");
  int callers = 0;
  for (const auto& [name, value] : request.headers) callers += name == "plugind-caller" ? 1 : 0;
  EXPECT_EQ(callers, 1);
}

TEST_F(CallTest, ATraceIsPassedOnOrBegun) {
  const std::string trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  engine_.Unary({{"traceparent", trace}});
  EXPECT_EQ(engine_.plugin.stream().Field("traceparent"), trace);
  engine_.Unary({{"traceparent", "00-nonsense"}});
  const auto& second = *engine_.plugin.connection().streams().rbegin()->second;
  EXPECT_EQ(second.Field("traceparent").size(), trace.size());
}

TEST_F(CallTest, DoorsDecideWhereACallGoes) {
  const Door front = {Door::Kind::kFront, ""};
  Http2Peer& caller = engine_.Connect(front);
  PeerStream& unknown = caller.Call("/t.Other/X");
  PeerStream& named = caller.Call("/t.Other/X", {{"plugind-plugin", "echo"}});
  PeerStream& nobody = caller.Call("/t.Other/X", {{"plugind-plugin", "nobody"}});
  Http2Peer& direct = engine_.Connect(Door{Door::Kind::kPlugin, "echo"});
  PeerStream& any = direct.Call("/t.Other/X", {{"plugind-plugin", "nobody"}});
  for (PeerStream* stream : {&unknown, &named, &nobody}) caller.End(*stream);
  direct.End(any);
  engine_.Settle();
  EXPECT_EQ(unknown.Field("grpc-status"), "12");
  EXPECT_EQ(named.Field("grpc-status"), "0");
  EXPECT_EQ(nobody.Field("grpc-status"), "5");
  EXPECT_EQ(any.Field("grpc-status"), "0");

  engine_.table.services["t.Echo"] = {"echo", "other"};
  engine_.Publish();
  const PeerStream ambiguous = engine_.Unary();
  EXPECT_EQ(ambiguous.Field("grpc-status"), "9");
  EXPECT_THAT(ambiguous.Field("grpc-message"), HasSubstr("plugind-plugin"));
}

TEST_F(CallTest, WhoMayNotCallIsToldWhatWouldAllowIt) {
  engine_.route.callers = CallerSet();
  engine_.Publish();
  const PeerStream answer = engine_.Unary();
  EXPECT_EQ(answer.Field("grpc-status"), "7");
  EXPECT_THAT(answer.Field("grpc-message"), HasSubstr("access.callers"));
  ASSERT_EQ(engine_.denials.size(), 1U);
  EXPECT_EQ(engine_.denials[0].method, kEcho);
  EXPECT_TRUE(engine_.plugin.connections.empty());
}

TEST_F(CallTest, BeyondMaxInFlightCallsAreShed) {
  engine_.route.max_in_flight = 2;
  engine_.Publish();
  engine_.plugin.on_request = nullptr;
  Http2Peer& caller = engine_.Connect();
  Begin(caller);
  Begin(caller);
  EXPECT_EQ(Begin(caller).Field("grpc-status"), "8");
  EXPECT_EQ(engine_.plugin.connection().streams().size(), 2U);
  caller.HangUp();
  engine_.Settle();
  engine_.plugin.on_request = [](Http2Peer& peer, PeerStream& stream) { Answer(peer, stream, ""); };
  EXPECT_EQ(engine_.Unary().Field("grpc-status"), "0");
}

TEST_F(CallTest, WhatIsNoGrpcIsToldSo) {
  Http2Peer& caller = engine_.Connect();
  PeerStream& stream = caller.Request(
      {{":method", "GET"}, {":scheme", "http"}, {":path", "/"}, {":authority", "x"}}, true);
  engine_.Settle();
  EXPECT_EQ(stream.Field(":status"), "415");
  EXPECT_THAT(stream.body, HasSubstr("gRPC"));
  EXPECT_EQ(stream.closed, 0U);
}

TEST_F(CallTest, WhatIsNoGrpcIsNotAnsweredBeforeItIsComplete) {
  Http2Peer& caller = engine_.Connect();
  PeerStream& stream = caller.Request(
      {{":method", "PUT"}, {":scheme", "http"}, {":path", "/"}, {":authority", "x"}}, false);
  const std::string body(size_t{1024} * 1024, 'x');  // more than a window
  caller.Send(stream, body);
  engine_.Settle();
  EXPECT_EQ(stream.waiting(), 0U);
  EXPECT_EQ(stream.Field(":status"), "");
  caller.End(stream);
  engine_.Settle();
  EXPECT_EQ(stream.Field(":status"), "415");
  EXPECT_EQ(stream.closed, 0U);
}

TEST_F(CallTest, ACallerThatSaysGoawayHasItsRunningCallsAnswered) {
  engine_.plugin.on_request = nullptr;
  Http2Peer& caller = engine_.Connect();
  PeerStream& stream = Begin(caller);
  nghttp2_submit_goaway(caller.session(), NGHTTP2_FLAG_NONE, 0, NGHTTP2_NO_ERROR, nullptr, 0);
  engine_.Settle();
  EXPECT_TRUE(caller.open());
  Answer(engine_.plugin.connection(), engine_.plugin.stream(), "late");
  engine_.Settle();
  EXPECT_EQ(stream.body, "late");
  caller.End(stream);
  engine_.Settle();
  EXPECT_FALSE(caller.open());
}

}  // namespace
}  // namespace plugind::gateway::testing
