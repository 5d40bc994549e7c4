// Bodies: flow control from end to end, and what waits here meanwhile.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "daemon/gateway/testing/engine.h"

namespace plugind::gateway::testing {
namespace {

using std::chrono::seconds;

constexpr size_t kMiB = size_t{1024} * 1024;

// Every piece of it differs from its neighbours.
std::string Pattern(size_t size) {
  std::string out;
  out.reserve(size + 16);
  for (uint64_t i = 0; out.size() < size; ++i) {
    out.append(reinterpret_cast<const char*>(&i), sizeof i);
  }
  out.resize(size);
  return out;
}

class FlowTest : public ::testing::Test {
 protected:
  void TearDown() override {
    EXPECT_EQ(engine_.worker().kept(), 0);
    EXPECT_EQ(engine_.worker().calls(), 0U);
    const Sums sums = engine_.sums();
    EXPECT_EQ(sums.admitted, sums.Ended());
  }
  Engine engine_;
};

TEST_F(FlowTest, ALongBodyPassesWholeInBothDirections) {
  const std::string body = Pattern(20 * kMiB);
  const PeerStream answer = engine_.Unary({}, body);
  EXPECT_TRUE(answer.body == body);
  EXPECT_EQ(answer.Field("grpc-status"), "0");
  uint64_t in = 0;
  uint64_t out = 0;
  engine_.worker().stats().Each([&](const CallSeries& series) {
    in += series.request_bytes.value();
    out += series.response_bytes.value();
  });
  EXPECT_EQ(in, body.size());
  EXPECT_EQ(out, body.size());
}

TEST_F(FlowTest, ACallerThatDoesNotReadStopsItsPlugin) {
  engine_.plugin.on_request = [](Http2Peer& peer, PeerStream& stream) {
    Answer(peer, stream, Pattern(20 * kMiB));
  };
  Http2Peer& caller = engine_.Connect({}, {.consumes = false});
  PeerStream& stream = caller.Call(kEcho);
  caller.End(stream);
  engine_.Settle();
  EXPECT_LE(engine_.worker().kept(), Limits::kGrownWindow);
  EXPECT_GT(engine_.plugin.stream().waiting(), 16 * kMiB);
  // It reads on, and gets all of it.
  for (size_t consumed = 0; !stream.ended;) {
    const size_t before = stream.body.size();
    caller.Consume(stream, before - consumed);
    consumed = before;
    engine_.Settle();
    ASSERT_GT(stream.body.size(), before);
  }
  EXPECT_TRUE(stream.body == Pattern(20 * kMiB));
}

TEST_F(FlowTest, ACallerWhoseSocketIsFullStopsItsPlugin) {
  engine_.plugin.on_request = [](Http2Peer& peer, PeerStream& stream) {
    Answer(peer, stream, Pattern(20 * kMiB));
  };
  Http2Peer& caller =
      engine_.Connect({}, {.settings = {{NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 0x7fffffff}}});
  nghttp2_session_set_local_window_size(caller.session(), NGHTTP2_FLAG_NONE, 0, 0x7fffffff);
  PeerStream& stream = caller.Call(kEcho);
  caller.End(stream);
  caller.Pump();
  caller.reads = false;
  engine_.Settle();
  EXPECT_LE(engine_.worker().kept(), Limits::kGrownWindow);
  EXPECT_GT(engine_.plugin.stream().waiting(), 14 * kMiB);
  caller.reads = true;
  engine_.Settle();
  EXPECT_TRUE(stream.body == Pattern(20 * kMiB));
}

TEST_F(FlowTest, APluginThatDoesNotReadStopsItsCaller) {
  engine_.plugin.options.consumes = false;
  Http2Peer& caller = engine_.Connect();
  PeerStream& stream = caller.Call(kEcho);
  caller.Send(stream, Pattern(20 * kMiB));
  engine_.Settle();
  EXPECT_LE(engine_.worker().kept(), Limits::kGrownWindow);
  EXPECT_GT(stream.waiting(), 16 * kMiB);
  caller.Reset(stream, NGHTTP2_CANCEL);
  engine_.Settle();
}

TEST_F(FlowTest, AStreamThatIsStoppedDoesNotStopItsNeighbours) {
  engine_.plugin.options.consumes = false;
  Http2Peer& caller = engine_.Connect();
  PeerStream& stopped = caller.Call(kEcho);
  caller.Send(stopped, Pattern(4 * kMiB));
  engine_.Settle();
  PeerStream& other = caller.Call(kEcho);
  caller.Send(other, "small");
  caller.End(other);
  engine_.Settle();
  // The plugin's connection window is shut too; all but that has passed.
  EXPECT_FALSE(other.ended);
  nghttp2_session_consume_connection(engine_.plugin.connection().session(), 65535);
  engine_.Settle();
  EXPECT_EQ(other.body, "small");
  caller.HangUp();
  engine_.Settle();
}

TEST_F(FlowTest, WhatNoLongerWaitsIsNoLongerCounted) {
  engine_.plugin.options.consumes = false;
  Http2Peer& caller = engine_.Connect();
  PeerStream& stream = caller.Call(kEcho);
  caller.Send(stream, Pattern(100'000));
  engine_.Settle();
  ASSERT_GT(engine_.worker().kept(), 0);
  Http2Peer& plugin = engine_.plugin.connection();
  plugin.Consume(engine_.plugin.stream(), engine_.plugin.stream().body.size());
  engine_.Settle();
  EXPECT_EQ(engine_.plugin.stream().body.size(), 100'000U);
  EXPECT_EQ(engine_.worker().kept(), 0) << "though the call goes on";
  caller.HangUp();
  engine_.Settle();
}

TEST_F(FlowTest, ACallThatIsOverHoldsNoBodyThoughItsPluginReadsNothing) {
  Http2Peer& caller = engine_.Connect();
  engine_.Unary();
  engine_.plugin.connection().reads = false;
  std::vector<PeerStream*> streams;
  for (int i = 0; i < 50; ++i) {
    PeerStream& stream = caller.Call(kEcho, {{"grpc-timeout", "1S"}});
    caller.Send(stream, Pattern(100'000));
    streams.push_back(&stream);
  }
  engine_.Settle();
  EXPECT_GT(engine_.worker().kept(), 1'000'000);
  engine_.Advance(seconds(1));
  for (PeerStream* stream : streams) EXPECT_EQ(stream->Field("grpc-status"), "4");
  EXPECT_EQ(engine_.worker().kept(), 0);
  engine_.plugin.connection().HangUp();
  engine_.Settle();
}

TEST_F(FlowTest, ACallerThatFillsTheMemoryLeavesSomeForOthers) {
  engine_.plugin.options.consumes = false;
  std::vector<PeerStream*> streams;
  for (int connection = 0; connection < 14; ++connection) {
    Http2Peer& caller = engine_.Connect();
    for (int i = 0; i < 90; ++i) {
      streams.push_back(&caller.Call(kEcho));
      caller.Send(*streams.back(), std::string(120'000, 'x'));
    }
    engine_.Settle();
  }
  const auto refused = [](const PeerStream* stream) { return stream->Field("grpc-status") == "8"; };
  EXPECT_TRUE(refused(streams.back()));
  EXPECT_GT(std::count_if(streams.begin(), streams.end(), refused), 50);
  EXPECT_LE(engine_.worker().kept(), static_cast<ptrdiff_t>(Limits::kBufferedBytes) * 5 / 8);
  engine_.uid = 1001;
  Http2Peer& other = engine_.Connect();
  std::vector<PeerStream*> theirs;
  for (int i = 0; i < 50; ++i) {
    theirs.push_back(&other.Call(kEcho));
    other.Send(*theirs.back(), std::string(120'000, 'x'));
  }
  engine_.Settle();
  EXPECT_EQ(std::count_if(theirs.begin(), theirs.end(), refused), 0);
  for (auto& plugin : engine_.plugin.connections) plugin->HangUp();
  engine_.plugin.accepts = false;
  engine_.Advance(seconds(10));
}

TEST_F(FlowTest, APluginThatDiesInTheMiddleOfABodyEndsTheCall) {
  engine_.plugin.on_headers = [](Http2Peer& peer, PeerStream& stream) {
    peer.Respond(stream, {{":status", "200"}, {"content-type", "application/grpc"}});
    peer.Send(stream, Pattern(1 * kMiB));
  };
  Http2Peer& caller = engine_.Connect({}, {.consumes = false});
  PeerStream& stream = caller.Call(kEcho);
  engine_.Settle();
  engine_.plugin.connection().HangUp();
  engine_.Settle();
  for (size_t consumed = 0; !stream.ended;) {
    const size_t before = stream.body.size();
    caller.Consume(stream, before - consumed);
    consumed = before;
    engine_.Settle();
    ASSERT_TRUE(stream.body.size() > before || stream.ended);
  }
  EXPECT_EQ(Find(stream.trailers, "grpc-status"), "14");
  EXPECT_EQ(Find(stream.trailers, "plugind-executed"), "maybe");
}

// Its bytes went out to the caller long ago, and it waits for the window that never comes.
TEST_F(FlowTest, TheDeadlineEndsACallWhoseCallerDoesNotRead) {
  engine_.plugin.on_request = [](Http2Peer& peer, PeerStream& stream) {
    Answer(peer, stream, Pattern(1 * kMiB));
  };
  Http2Peer& caller = engine_.Connect({}, {.consumes = false});
  PeerStream& stream = caller.Call(kEcho, {{"grpc-timeout", "1S"}});
  caller.End(stream);
  engine_.Advance(seconds(1));
  EXPECT_EQ(stream.closed, NGHTTP2_CANCEL);
  EXPECT_EQ(engine_.sums().Of(Outcome::kDeadline), 1U);
}

}  // namespace
}  // namespace plugind::gateway::testing
