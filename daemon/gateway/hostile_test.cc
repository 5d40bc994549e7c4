// Peers that break HTTP/2, or keep to it and mean harm: each loses its own connection at most.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include "daemon/gateway/caller_connection.h"
#include "daemon/gateway/testing/engine.h"

namespace plugind::gateway::testing {
namespace {

using std::chrono::seconds;
using ::testing::AnyOf;
using ::testing::HasSubstr;

// HPACK by hand: a header that enters the dynamic table, and a reference to the newest entry.
std::string Literal(std::string_view name, std::string_view value) {
  std::string out = "\x40";
  out.push_back(static_cast<char>(name.size()));
  out += name;
  // A length of 7 bits and, beyond 126, a remainder of 7 bits a byte.
  if (value.size() < 127) {
    out.push_back(static_cast<char>(value.size()));
  } else {
    out.push_back(127);
    size_t left = value.size() - 127;
    for (; left >= 128; left >>= 7) out.push_back(static_cast<char>(0x80 | (left & 127)));
    out.push_back(static_cast<char>(left));
  }
  return out.append(value);
}
// 20 KiB on the wire, 64 MiB as headers.
std::string Bomb() {
  constexpr char kNewestEntry = '\xbe';
  return Literal("x", std::string(3900, 'x')) + std::string(16'000, kNewestEntry);
}

class HostileTest : public ::testing::Test {
 protected:
  void TearDown() override {
    engine_.Settle();
    const Sums sums = engine_.sums();
    EXPECT_EQ(sums.admitted, sums.Ended());
    // Nobody else has noticed.
    EXPECT_EQ(engine_.Unary().Field("grpc-status"), "0");
    EXPECT_EQ(engine_.worker().kept(), 0);
  }
  Engine engine_;
};

// ── Callers: floods

TEST_F(HostileTest, AFloodOfPingsEndsTheConnection) {
  Http2Peer& caller = engine_.Connect();
  for (int i = 0; i < 5000; ++i) caller.Raw(Frame(NGHTTP2_PING, 0, 0, "12345678"));
  engine_.Settle();
  EXPECT_FALSE(caller.open());
}

TEST_F(HostileTest, WhoIsStillWritingWhenItIsHungUpOnReadsWhy) {
  const UniqueFd caller = engine_.ConnectRaw({Door::Kind::kFront, ""});
  const auto write = [&](std::string_view bytes) {
    return ::send(caller.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  };
  const std::string wrong = Frame(NGHTTP2_WINDOW_UPDATE, 0, 0, std::string("\x7f\xff\xff\xff", 4));
  write("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + Frame(NGHTTP2_SETTINGS, 0, 0, "") + wrong);
  engine_.Settle();
  EXPECT_GT(write(wrong), 0);
  std::string told(4096, '\0');
  const ssize_t size = ::recv(caller.get(), told.data(), told.size(), MSG_DONTWAIT);
  ASSERT_GT(size, 17);
  told.resize(static_cast<size_t>(size));
  const std::string last = told.substr(told.size() - 17);  // a frame's head, stream id, error
  EXPECT_EQ(last[3], NGHTTP2_GOAWAY);
  EXPECT_EQ(last[16], NGHTTP2_FLOW_CONTROL_ERROR);
  EXPECT_EQ(::recv(caller.get(), told.data(), told.size(), MSG_DONTWAIT), 0) << "the end";
  engine_.Advance(Limits::kLinger);
  EXPECT_EQ(write(wrong), -1) << "its socket stays open for ever";
}

TEST_F(HostileTest, FewSocketsStayOpenForThoseWhoAreHungUpOn) {
  std::vector<UniqueFd> callers;
  for (size_t i = 0; i < Limits::kLingering + 1; ++i) {
    callers.push_back(engine_.ConnectRaw({Door::Kind::kFront, ""}));
    EXPECT_GT(::send(callers.back().get(), "GET / HTTP/1.1\r\n\r\n", 18, MSG_NOSIGNAL), 0);
    engine_.Settle();
  }
  EXPECT_EQ(::send(callers.front().get(), "x", 1, MSG_NOSIGNAL), -1);
  EXPECT_EQ(::send(callers.back().get(), "x", 1, MSG_NOSIGNAL), 1);
}

TEST_F(HostileTest, AFloodOfSettingsEndsTheConnection) {
  Http2Peer& caller = engine_.Connect();
  engine_.Settle();
  for (int i = 0; i < 5000; ++i) caller.Raw(Frame(NGHTTP2_SETTINGS, 0, 0, ""));
  engine_.Settle();
  EXPECT_FALSE(caller.open());
}

TEST_F(HostileTest, AFloodOfEmptyDataEndsTheConnection) {
  engine_.plugin.on_request = nullptr;
  Http2Peer& caller = engine_.Connect();
  PeerStream& stream = caller.Call(kEcho);
  engine_.Settle();
  for (int i = 0; i < 5000; ++i) caller.Raw(Frame(NGHTTP2_DATA, 0, stream.id, ""));
  engine_.Settle();
  EXPECT_FALSE(caller.open());
  engine_.plugin.on_request = [](Http2Peer& peer, PeerStream& to) { Answer(peer, to, ""); };
}

// What Go's gRPC does, and every client of streams.
TEST_F(HostileTest, PingsAndEmptyEndsThatGoWithCallsAreNoFlood) {
  Http2Peer& caller = engine_.Connect();
  for (int i = 0; i < 5000; ++i) {
    PeerStream& stream = caller.Call(kEcho);
    caller.Send(stream, "x");
    engine_.Settle();
    caller.End(stream);  // by a DATA frame of its own
    engine_.Settle();
    ASSERT_EQ(stream.Field("grpc-status"), "0") << i;
    nghttp2_submit_ping(caller.session(), NGHTTP2_FLAG_NONE, nullptr);
  }
  EXPECT_TRUE(caller.open());
}

TEST_F(HostileTest, ACallerThatResetsWhatItBeginsIsHungUpOn) {
  Http2Peer& caller = engine_.Connect();
  for (int i = 0; i < 5000 && caller.open(); ++i) {
    PeerStream& stream = caller.Call(kEcho);
    caller.Pump();
    caller.Reset(stream, NGHTTP2_CANCEL);
    caller.Pump();
    if (i % 10 == 0) engine_.worker().RunOnce();
    if (i % 100 == 0) engine_.Settle();
  }
  engine_.Settle();
  EXPECT_FALSE(caller.open());
  EXPECT_LE(engine_.sums().admitted, 1100U);
}

TEST_F(HostileTest, SoIsOneThatHasItsCallsResetByBreakingARule) {
  Http2Peer& caller = engine_.Connect();
  engine_.plugin.on_request = nullptr;
  for (int i = 0; i < 5000 && caller.open(); ++i) {
    PeerStream& stream = caller.Call(kEcho);
    engine_.Settle();
    // An increment of nothing: an error of the stream, which the gateway has to reset.
    caller.Raw(Frame(NGHTTP2_WINDOW_UPDATE, 0, stream.id, std::string(4, '\0')));
    engine_.Settle();
  }
  EXPECT_FALSE(caller.open());
  EXPECT_LE(engine_.sums().admitted, 1100U);
  engine_.plugin.on_request = [](Http2Peer& peer, PeerStream& to) { Answer(peer, to, ""); };
}

TEST_F(HostileTest, ACallerThatCancelsNowAndThenIsNotHungUpOn) {
  Http2Peer& caller = engine_.Connect();
  for (int i = 0; i < 3000; ++i) {
    PeerStream& stream = caller.Call(kEcho);
    caller.Pump();
    caller.Reset(stream, NGHTTP2_CANCEL);
    engine_.Advance(std::chrono::milliseconds(3));
  }
  EXPECT_TRUE(caller.open());
}

TEST_F(HostileTest, ACallerThatReadsNothingCannotMakeAnswersPileUp) {
  engine_.route.callers = CallerSet();  // refused at once
  engine_.Publish();
  Http2Peer& caller = engine_.Connect();
  engine_.Settle();
  caller.reads = false;
  for (int i = 0; i < 20000 && caller.open(); ++i) {
    PeerStream& stream = caller.Call(kEcho);
    caller.Pump();
    caller.Reset(stream, NGHTTP2_NO_ERROR);
    caller.Pump();
    if (i % 20 == 0) engine_.worker().RunOnce();
  }
  engine_.Settle();
  EXPECT_LE(engine_.sums().admitted, 10'000U);
  caller.reads = true;
  engine_.Settle();
  EXPECT_FALSE(caller.open());
  engine_.route.callers.AddEveryone();
  engine_.Publish();
}

TEST_F(HostileTest, WhoBreaksHttp2AndDoesNotReadIsHungUpOn) {
  engine_.plugin.on_request = [](Http2Peer& peer, PeerStream& stream) {
    Answer(peer, stream, std::string(4 * 1024 * 1024, 'x'));
  };
  Http2Peer& caller =
      engine_.Connect({}, {.settings = {{NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 0x7fffffff}}});
  nghttp2_session_set_local_window_size(caller.session(), NGHTTP2_FLAG_NONE, 0, 0x7fffffff);
  engine_.Settle();
  PeerStream& stream = caller.Call(kEcho);
  caller.End(stream);
  caller.Pump();
  caller.reads = false;
  engine_.Settle();
  EXPECT_EQ(engine_.worker().calls(), 1U);
  caller.Raw(Frame(NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS, 3, Bomb()));
  engine_.Settle();
  EXPECT_EQ(engine_.worker().calls(), 0U);
  EXPECT_EQ(engine_.sums().Of(Outcome::kCancelled), 1U);
}

// ── Callers: header blocks

TEST_F(HostileTest, OversizedHeadersAreRefusedAndTheConnectionStays) {
  Http2Peer& caller = engine_.Connect();
  PeerStream& stream = caller.Call(kEcho, {{"x", std::string(9000, 'x')}});
  caller.End(stream);
  engine_.Settle();
  EXPECT_EQ(stream.Field("grpc-status"), "8");
  EXPECT_THAT(stream.Field("grpc-message"), HasSubstr("8192"));
  EXPECT_TRUE(caller.open());
}

TEST_F(HostileTest, HeadersFarTooLargeEndTheConnection) {
  Http2Peer& caller = engine_.Connect();
  PeerStream& stream = caller.Call(kEcho, {{"x", std::string(200'000, 'x')}});
  caller.End(stream);
  engine_.Settle();
  EXPECT_FALSE(caller.open());
}

TEST_F(HostileTest, IllegalMetadataIsRefusedAndNamed) {
  for (const Fields& bad : {Fields{{"x-bin\x01", "1"}}, Fields{{"x", "\x80\xff"}},
                            Fields{{"x/y", "1"}}, Fields{{"x", "tab\tbed"}}}) {
    Http2Peer& caller = engine_.Connect();
    PeerStream& stream = caller.Call(kEcho, bad);
    caller.End(stream);
    engine_.Settle();
    // Some of it is already against HTTP, and the stream is reset.
    EXPECT_TRUE(stream.Field("grpc-status") == "3" || stream.closed == NGHTTP2_PROTOCOL_ERROR)
        << bad[0].first << bad[0].second;
  }
  EXPECT_EQ(engine_.plugin.executed, 0);
}

TEST_F(HostileTest, AHeaderBlockThatNeverEndsIsTimedOut) {
  Http2Peer& caller = engine_.Connect();
  engine_.Settle();
  caller.Raw(Frame(NGHTTP2_HEADERS, 0, 1, "\x82"));
  engine_.Advance(seconds(3));
  caller.Raw(Frame(NGHTTP2_CONTINUATION, 0, 1, "\x86"));
  engine_.Advance(seconds(1));
  EXPECT_TRUE(caller.open());
  engine_.Advance(seconds(1));
  EXPECT_FALSE(caller.open());
}

TEST_F(HostileTest, ContinuationsWithoutEndEndTheConnection) {
  Http2Peer& caller = engine_.Connect();
  engine_.Settle();
  caller.Raw(Frame(NGHTTP2_HEADERS, 0, 1, "\x82"));
  for (int i = 0; i < 20; ++i) caller.Raw(Frame(NGHTTP2_CONTINUATION, 0, 1, ""));
  engine_.Settle();
  EXPECT_FALSE(caller.open());
}

// In a request's trailers, of which the application sees none.
TEST_F(HostileTest, ABombOfHeadersInARequestsTrailersEndsTheConnection) {
  engine_.plugin.on_request = nullptr;
  Http2Peer& caller = engine_.Connect();
  PeerStream& stream = caller.Call(kEcho);
  engine_.Settle();
  caller.Raw(Frame(NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS | NGHTTP2_FLAG_END_STREAM, stream.id,
                   Bomb()));
  engine_.Settle();
  EXPECT_FALSE(caller.open());
  engine_.plugin.on_request = [](Http2Peer& peer, PeerStream& to) { Answer(peer, to, ""); };
}

TEST_F(HostileTest, ACallerThatNeverGreetsIsHungUpOn) {
  Http2Peer& caller = engine_.Connect();
  caller.reads = true;
  // The connection is there; its first Pump() would send the preface.
  engine_.worker().RunOnce();
  engine_.clock.Advance(seconds(5));
  engine_.worker().RunOnce();
  engine_.Settle();
  EXPECT_FALSE(caller.open());
}

TEST_F(HostileTest, GarbageEndsTheConnection) {
  for (const std::string& garbage : {std::string("GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
                                     std::string(1000, '\0'), std::string(100'000, '\xff')}) {
    Http2Peer& caller = engine_.Connect();
    caller.Raw(garbage);
    engine_.Settle();
    EXPECT_FALSE(caller.open());
  }
}

TEST_F(HostileTest, AFrameThatClaimsSixteenMebibytesIsNotWaitedFor) {
  Http2Peer& caller = engine_.Connect();
  engine_.Settle();
  std::string head = Frame(NGHTTP2_DATA, 0, 1, "");
  head[0] = head[1] = head[2] = '\xff';
  caller.Raw(head);
  engine_.Settle();
  EXPECT_FALSE(caller.open());
}

TEST_F(HostileTest, WindowsBeyondAnyBoundEndTheConnection) {
  Http2Peer& caller = engine_.Connect();
  engine_.Settle();
  caller.Raw(Frame(NGHTTP2_WINDOW_UPDATE, 0, 0, "\x7f\xff\xff\xff"));
  engine_.Settle();
  EXPECT_FALSE(caller.open());
}

TEST_F(HostileTest, MoreStreamsThanAllowedAreRefused) {
  engine_.plugin.on_request = nullptr;
  Http2Peer& caller = engine_.Connect();
  // The gateway's SETTINGS are not yet read.
  std::vector<PeerStream*> streams;
  for (int i = 0; i < 100; ++i) streams.push_back(&caller.Call(kEcho));
  caller.Pump();
  EXPECT_TRUE(caller.open());
  engine_.Settle();
  EXPECT_LE(engine_.worker().calls(), 100U);
  caller.HangUp();
  engine_.Settle();
  engine_.plugin.on_request = [](Http2Peer& peer, PeerStream& to) { Answer(peer, to, ""); };
}

// ── Plugins

TEST_F(HostileTest, APluginsOversizedHeadersFailTheCall) {
  engine_.plugin.on_request = [](Http2Peer& peer, PeerStream& stream) {
    peer.Respond(stream, {{":status", "200"}, {"x", std::string(9000, 'x')}}, true);
  };
  EXPECT_EQ(engine_.Unary().Field("grpc-status"), "8");
  engine_.plugin.on_request = [](Http2Peer& peer, PeerStream& stream) {
    Answer(peer, stream, "", {{"grpc-status", "0"}, {"x", std::string(9000, 'x')}});
  };
  EXPECT_EQ(engine_.Unary().Field("grpc-status"), "8");
  engine_.plugin.on_request = [](Http2Peer& peer, PeerStream& to) { Answer(peer, to, ""); };
}

TEST_F(HostileTest, APluginsIllegalTrailersFailTheCallAndAddNothingToTheAnswer) {
  engine_.plugin.on_request = [](Http2Peer& peer, PeerStream& stream) {
    Answer(peer, stream, "x", {{"x/y", "illegal"}, {"grpc-status", "0"}, {"x-after", "1"}});
  };
  const PeerStream answer = engine_.Unary();
  int statuses = 0;
  for (const auto& [name, value] : answer.trailers) statuses += name == "grpc-status" ? 1 : 0;
  // Or the stream was reset by nghttp2, which knows what HTTP allows.
  EXPECT_EQ(statuses, 1);
  EXPECT_EQ(Find(answer.trailers, "grpc-status"), "13");
  EXPECT_EQ(Find(answer.trailers, "x-after"), "");
  engine_.plugin.on_request = [](Http2Peer& peer, PeerStream& to) { Answer(peer, to, ""); };
}

TEST_F(HostileTest, WhatFollowsTrailersThatTheGatewayHasReplacedIsLeftOut) {
  engine_.plugin.on_request = [](Http2Peer& peer, PeerStream& stream) {
    Answer(peer, stream, "x",
           {{"x", std::string(9000, 'x')}, {"grpc-status", "0"}, {"x-after", "1"}});
  };
  const PeerStream answer = engine_.Unary();
  int statuses = 0;
  for (const auto& [name, value] : answer.trailers) statuses += name == "grpc-status" ? 1 : 0;
  EXPECT_EQ(statuses, 1);
  EXPECT_EQ(Find(answer.trailers, "grpc-status"), "8");
  EXPECT_EQ(Find(answer.trailers, "x-after"), "");
  engine_.plugin.on_request = [](Http2Peer& peer, PeerStream& to) { Answer(peer, to, ""); };
}

TEST_F(HostileTest, ABombOfHeadersInAnAnswerEndsThePluginsConnection) {
  engine_.plugin.on_request = [](Http2Peer& peer, PeerStream& stream) {
    peer.Raw(Frame(NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS, stream.id, "\x88" + Bomb()));
  };
  EXPECT_THAT(engine_.Unary().Field("grpc-status"), AnyOf("8", "14"));
  EXPECT_FALSE(engine_.plugin.connection().open());
  engine_.plugin.on_request = [](Http2Peer& peer, PeerStream& to) { Answer(peer, to, ""); };
}

TEST_F(HostileTest, APluginThatBreaksHttp2LosesItsConnectionAndIsCalledAgain) {
  for (const std::string& bad :
       {std::string(100, '\xff'), Frame(NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS, 2, "\x88"),
        Frame(NGHTTP2_DATA, 0, 0, "x"), Frame(NGHTTP2_CONTINUATION, 0, 1, "x"),
        Frame(NGHTTP2_PUSH_PROMISE, NGHTTP2_FLAG_END_HEADERS, 1,
              std::string("\0\0\0\2", 4) + "\x82")}) {
    engine_.plugin.on_request = [&](Http2Peer& peer, PeerStream&) { peer.Raw(bad); };
    const PeerStream answer = engine_.Unary();
    EXPECT_EQ(answer.Field("grpc-status"), "14");
    EXPECT_EQ(answer.Field("plugind-executed"), "maybe");
    EXPECT_FALSE(engine_.plugin.connection().open());
    engine_.plugin.on_request = [](Http2Peer& peer, PeerStream& to) { Answer(peer, to, ""); };
    EXPECT_EQ(engine_.Unary().Field("grpc-status"), "0");
  }
}

TEST_F(HostileTest, APluginThatHalfClosesWithoutTrailersHasFailed) {
  engine_.plugin.on_request = [](Http2Peer& peer, PeerStream& stream) {
    Answer(peer, stream, "x", {});
  };
  const PeerStream answer = engine_.Unary();
  EXPECT_EQ(answer.body, "x");
  EXPECT_TRUE(answer.ended);
  EXPECT_EQ(engine_.sums().Of(Outcome::kError), 1U);
  EXPECT_EQ(engine_.ends.back().code, 2);
  engine_.plugin.on_request = [](Http2Peer& peer, PeerStream& to) { Answer(peer, to, ""); };
}

// GOAWAY is read in the very round in which the request was submitted.
TEST_F(HostileTest, ACallThatMeetsAGoawayIsSentElsewhere) {
  engine_.Unary();
  Http2Peer& old = engine_.plugin.connection();
  Http2Peer& caller = engine_.Connect();
  engine_.Settle();
  PeerStream& stream = caller.Call(kEcho);
  caller.End(stream);
  caller.Pump();
  nghttp2_submit_goaway(old.session(), NGHTTP2_FLAG_NONE, 1, NGHTTP2_NO_ERROR, nullptr, 0);
  old.Pump();
  for (int i = 0; i < 3; ++i) engine_.Advance(std::chrono::milliseconds(20));
  EXPECT_EQ(stream.Field("grpc-status"), "0");
  EXPECT_EQ(engine_.plugin.connections.size(), 2U);
}

TEST_F(HostileTest, ManyCallsThatMeetAGoawayAreSentElsewhere) {
  engine_.plugin.options.settings = {{NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 1000}};
  engine_.Unary();
  Http2Peer& old = engine_.plugin.connection();
  Http2Peer& caller = engine_.Connect();
  engine_.Settle();
  std::vector<PeerStream*> streams;
  for (int i = 0; i < 50; ++i) {
    streams.push_back(&caller.Call(kEcho));
    caller.Send(*streams.back(), std::string(30'000, 'x'));
    caller.End(*streams.back());
  }
  caller.Pump();
  engine_.worker().RunOnce();
  nghttp2_submit_goaway(old.session(), NGHTTP2_FLAG_NONE, 1, NGHTTP2_NO_ERROR, nullptr, 0);
  for (int i = 0; i < 5; ++i) engine_.Advance(std::chrono::milliseconds(20));
  for (PeerStream* stream : streams) {
    // Whether the plugin had taken it before it said so, only the plugin knows.
    EXPECT_THAT(stream->Field("grpc-status"), "0") << stream->Field("grpc-message");
  }
}

TEST_F(HostileTest, APluginThatTakesNothingOfARequestAndAnswersKeepsNoStreamOpen) {
  engine_.plugin.options.settings = {{NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 0}};
  engine_.plugin.on_headers = [](Http2Peer& peer, PeerStream& stream) {
    Answer(peer, stream, "done");
  };
  engine_.plugin.on_request = nullptr;
  for (int i = 0; i < 10; ++i) EXPECT_EQ(engine_.Unary().Field("grpc-status"), "0");
  EXPECT_EQ(engine_.worker().calls(), 0U);
}

TEST_F(HostileTest, APluginThatReadsNothingCannotMakeCallsPileUp) {
  engine_.Unary();
  for (auto& connection : engine_.plugin.connections) connection->reads = false;
  engine_.plugin.on_connected = [](Http2Peer& peer) { peer.reads = false; };
  Http2Peer& caller = engine_.Connect();
  size_t most = 0;
  for (int i = 0; i < 4000; ++i) {
    for (int j = 0; j < 10; ++j) {
      PeerStream& stream =
          caller.Call(kEcho, {{"grpc-timeout", "1m"}, {"x", std::string(4000, 'x')}});
      caller.End(stream);
    }
    engine_.Advance(std::chrono::milliseconds(1));
    most = std::max(most, engine_.worker().calls());
  }
  // What lies in the sockets and the sessions' queues, and not 40,000.
  EXPECT_LE(most, Limits::kConnectionsPerInstance * (Limits::kQueuedFrames + 500));
  caller.HangUp();
  for (auto& connection : engine_.plugin.connections) connection->HangUp();
  engine_.plugin.on_connected = nullptr;
  engine_.Settle();
  EXPECT_EQ(engine_.worker().calls(), 0U);
}

TEST_F(HostileTest, AFloodOfPingsFromAPluginEndsItsConnection) {
  engine_.plugin.on_request = [](Http2Peer& peer, PeerStream&) {
    for (int i = 0; i < 5000; ++i) peer.Raw(Frame(NGHTTP2_PING, 0, 0, "12345678"));
  };
  EXPECT_EQ(engine_.Unary().Field("plugind-executed"), "maybe");
  EXPECT_FALSE(engine_.plugin.connection().open());
  engine_.plugin.on_request = [](Http2Peer& peer, PeerStream& to) { Answer(peer, to, ""); };
}

// ── Connections

TEST(ConnectionCensusTest, ACallerHasAsManyAsItMayHave) {
  ConnectionCensus census(2);
  EXPECT_TRUE(census.Enter("uid:1"));
  EXPECT_TRUE(census.Enter("uid:1"));
  EXPECT_FALSE(census.Enter("uid:1"));
  EXPECT_TRUE(census.Enter("uid:2"));
  census.Leave("uid:1");
  EXPECT_TRUE(census.Enter("uid:1"));
}

TEST(ConnectionCensusTest, ACallerThatHangsUpWithItsLastWordsIsGone) {
  Limits limits;
  limits.connections_per_caller = 1;
  Engine engine(limits);
  int pair[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
  UniqueFd caller(pair[0]);
  ASSERT_TRUE(engine.shared().census.Enter("uid:1000"));
  ASSERT_NE(CallerConnection::Open(engine.worker(), UniqueFd(pair[1]), Caller::User(1000, 1, {}),
                                   std::make_shared<const Door>(), true),
            nullptr);
  const auto say = [&](const std::string& bytes) {
    ASSERT_EQ(::send(caller.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(bytes.size()));
  };
  say("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + Frame(NGHTTP2_SETTINGS, 0, 0, ""));
  engine.Settle();
  char told[4096];
  while (::recv(caller.get(), told, sizeof told, 0) > 0) {
  }
  // One that needs no answer, so that no write fails either.
  say(Frame(NGHTTP2_WINDOW_UPDATE, 0, 0, std::string("\0\0\0\1", 4)));
  caller.reset();
  engine.Settle();
  EXPECT_TRUE(engine.shared().census.Enter("uid:1000"));
}

TEST(ConnectionCensusTest, AConnectionThatCannotBeStartedIsNotCounted) {
  Limits limits;
  limits.connections_per_caller = 1;
  Engine engine(limits);
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(engine.shared().census.Enter("uid:1000"));
    // epoll takes no such file.
    EXPECT_EQ(CallerConnection::Open(
                  engine.worker(), UniqueFd(::open("/proc/self/maps", O_RDONLY | O_CLOEXEC)),
                  Caller::User(1000, 1, {}), std::make_shared<const Door>(), true),
              nullptr);
  }
}

}  // namespace
}  // namespace plugind::gateway::testing
