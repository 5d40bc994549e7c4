// Calls to a plugin that speaks TLS, which an OpenSSL server on another thread does for it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>

#include <memory>
#include <string>
#include <vector>

#include "daemon/gateway/testing/engine.h"
#include "daemon/tls/testing/server.h"

namespace plugind::gateway::testing {
namespace {

using std::chrono::seconds;
using ::testing::HasSubstr;

constexpr size_t kMebibyte = size_t{1024} * 1024;

tls::Identity Made() {
  std::string error;
  return tls::MakeIdentity(SystemClock().WallNow(), &error).value();
}

class TlsCallTest : public ::testing::Test {
 protected:
  void SetUp() override { Expect(plugin_identity_); }
  void TearDown() override {
    const Sums sums = engine_.sums();
    EXPECT_EQ(sums.admitted, sums.Ended()) << "every call has one end";
  }

  // The handshake has said that `expected` is the plugin's certificate.
  void Expect(const tls::Identity& expected) {
    auto instance = std::make_shared<Instance>();
    instance->id = "1";
    std::string error;
    instance->tls = tls::Client::Make(host_identity_, tls::testing::DerOf(expected), &error);
    instance->connect = [this](std::string* why) {
      UniqueFd plain = engine_.plugin.instance()->connect(why);
      int pair[2];
      EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
      servers_.push_back(std::make_unique<tls::testing::Server>(
          tls::testing::ServerTerms{plugin_identity_, host_identity_.certificate},
          UniqueFd(pair[1]), std::move(plain)));
      return UniqueFd(pair[0]);
    };
    engine_.route.instances = {instance};
    engine_.Publish();
  }

  PeerStream& Begin(const std::string& body) {
    Http2Peer& caller = engine_.Connect();
    PeerStream& stream = caller.Call(kEcho, {});
    caller.Send(stream, body);
    caller.End(stream);
    return stream;
  }

  // The servers' threads take the time that they take.
  template <typename Condition>
  void RunUntil(const Condition& condition) {
    for (int i = 0; i < 30'000; ++i) {
      engine_.Settle();
      if (condition()) return;
      ::poll(nullptr, 0, 1);
    }
    FAIL() << "it did not come";
  }

  const tls::Identity host_identity_ = Made();
  const tls::Identity plugin_identity_ = Made();
  Engine engine_;
  std::vector<std::unique_ptr<tls::testing::Server>> servers_;
};

TEST_F(TlsCallTest, ACallPassesInsideTls) {
  PeerStream& stream = Begin(Message("hello"));
  RunUntil([&] { return stream.ended; });
  EXPECT_EQ(stream.body, Message("hello"));
  EXPECT_EQ(Find(stream.trailers, "grpc-status"), "0");
  EXPECT_EQ(engine_.plugin.stream().Field(":scheme"), "https");
}

TEST_F(TlsCallTest, MebibytesPassBothWaysOnOneConnection) {
  std::vector<PeerStream*> streams;
  std::vector<std::string> bodies;
  for (int i = 0; i < 8; ++i) {
    bodies.push_back(Message(std::string(kMebibyte, static_cast<char>('a' + i))));
    streams.push_back(&Begin(bodies.back()));
  }
  for (size_t i = 0; i < streams.size(); ++i) {
    RunUntil([&] { return streams[i]->ended; });
    EXPECT_TRUE(streams[i]->body == bodies[i]) << i;
  }
  EXPECT_EQ(engine_.plugin.connections.size(), 1U);
}

TEST_F(TlsCallTest, AnImpostorGetsNoCall) {
  Expect(Made());
  PeerStream& stream = Begin(Message("hello"));
  RunUntil([&] { return engine_.worker().calls() > 0 && !servers_.empty(); });
  engine_.Advance(seconds(1));
  RunUntil([&] {
    engine_.Advance(seconds(1));
    return stream.ended;
  });
  EXPECT_EQ(engine_.plugin.executed, 0);
  const Fields& told = stream.trailers.empty() ? stream.headers : stream.trailers;
  EXPECT_EQ(Find(told, "grpc-status"), "14");
  EXPECT_EQ(Find(told, "plugind-executed"), "no");
  EXPECT_THAT(std::string(Find(told, "grpc-message")), HasSubstr("not the one of its handshake"));
}

TEST_F(TlsCallTest, WhenThePluginEndsACallMayHaveBeenExecuted) {
  engine_.plugin.on_request = [](Http2Peer&, PeerStream&) {};
  PeerStream& stream = Begin(Message("hello"));
  RunUntil([&] { return engine_.plugin.executed == 1; });
  engine_.plugin.connections.clear();
  RunUntil([&] { return stream.ended; });
  const Fields& told = stream.trailers.empty() ? stream.headers : stream.trailers;
  EXPECT_EQ(Find(told, "grpc-status"), "14");
  EXPECT_EQ(Find(told, "plugind-executed"), "maybe");
}

}  // namespace
}  // namespace plugind::gateway::testing
