// GrpcConnection against gRPC's own server, and against peers that are none.

#include "daemon/rpc/grpc_connection.h"

#include <grpcpp/server_builder.h>
#include <grpcpp/server_posix.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "daemon/base/clock.h"
#include "daemon/tls/testing/server.h"
#include "grpc/health/v1/health.grpc.pb.h"
#include "plugin/go_plugin.grpc.pb.h"

namespace plugind::rpc {
namespace {

using absl::StatusCode;
using grpc::health::v1::HealthCheckRequest;
using grpc::health::v1::HealthCheckResponse;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr char kCheck[] = "/grpc.health.v1.Health/Check";
constexpr char kBroker[] = "/plugin.GRPCBroker/StartStream";
constexpr char kStdio[] = "/plugin.GRPCStdio/StreamStdio";
constexpr size_t kMebibyte = size_t{1024} * 1024;

// Answers each message with its id, doubled, and says nothing before the first.
class Broker final : public plugin::GRPCBroker::Service {
  grpc::Status StartStream(
      grpc::ServerContext*,
      grpc::ServerReaderWriter<plugin::ConnInfo, plugin::ConnInfo>* stream) override {
    plugin::ConnInfo info;
    while (stream->Read(&info)) {
      info.set_service_id(2 * info.service_id());
      stream->Write(info);
    }
    return grpc::Status::OK;
  }
};

// "slow" is answered when the call is given up; other names but "" are not known.
class Health final : public grpc::health::v1::Health::Service {
  grpc::Status Check(grpc::ServerContext* context, const HealthCheckRequest* request,
                     HealthCheckResponse* response) override {
    while (request->service() == "slow" && !context->IsCancelled()) {
      std::this_thread::sleep_for(milliseconds(1));
    }
    if (!request->service().empty()) return {grpc::StatusCode::NOT_FOUND, "100% unb\xC3\xA9kannt"};
    response->set_status(HealthCheckResponse::SERVING);
    return grpc::Status::OK;
  }
};

class Stdio final : public plugin::GRPCStdio::Service {
 public:
  std::vector<size_t> chunks;

 private:
  grpc::Status StreamStdio(grpc::ServerContext*, const google::protobuf::Empty*,
                           grpc::ServerWriter<plugin::StdioData>* writer) override {
    for (const size_t size : chunks) {
      plugin::StdioData data;
      data.set_data(std::string(size, 'x'));
      writer->Write(data);
    }
    return grpc::Status::OK;
  }
};

// What one call has come to.
struct Outcome {
  std::vector<std::string> messages;
  std::vector<absl::Status> ends;
};

class GrpcConnectionTest : public testing::Test {
 protected:
  GrpcConnectionTest() {
    int pair[2];
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
    connection_ = std::make_unique<GrpcConnection>(loop_, UniqueFd(pair[0]));
    peer_ = UniqueFd(pair[1]);
  }
  ~GrpcConnectionTest() override {
    connection_.reset();
    if (server_) server_->Shutdown(std::chrono::system_clock::now());
  }

  void Serve() {
    grpc::ServerBuilder builder;
    builder.RegisterService(&health_).RegisterService(&stdio_).RegisterService(&broker_);
    builder.SetMaxSendMessageSize(-1);
    server_ = builder.BuildAndStart();
    grpc::AddInsecureChannelFromFd(server_.get(), peer_.release());
  }

  // The connection anew, through TLS: to a plugin that shows `shown`, when `expected` was
  // announced.
  void Encrypt(const tls::Identity& shown, const tls::Identity& expected) {
    std::string error;
    const tls::ClientPtr client = tls::Client::Make(host_, tls::testing::DerOf(expected), &error);
    ASSERT_NE(client, nullptr) << error;
    int outside[2];
    int inside[2];
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, outside), 0);
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, inside), 0);
    connection_ = std::make_unique<GrpcConnection>(loop_, UniqueFd(outside[0]), client);
    tls_.emplace(tls::testing::ServerTerms{shown, host_.certificate}, UniqueFd(outside[1]),
                 UniqueFd(inside[0]));
    peer_ = UniqueFd(inside[1]);
  }
  static tls::Identity MadeIdentity() {
    std::string error;
    return tls::MakeIdentity(SystemClock().WallNow(), &error).value();
  }

  GrpcConnection::CallId Call(const std::string& method, const std::string& request,
                              std::optional<Duration> timeout, Outcome* outcome) {
    return connection_->Call(
        method, request, timeout,
        [outcome](const std::string& bytes) { outcome->messages.push_back(bytes); },
        [outcome](const absl::Status& status) { outcome->ends.push_back(status); });
  }
  GrpcConnection::CallId Check(const std::string& service, Outcome* outcome,
                               Duration timeout = seconds(60)) {
    HealthCheckRequest request;
    request.set_service(service);
    return Call(kCheck, request.SerializeAsString(), timeout, outcome);
  }

  template <typename Condition>
  void RunUntil(const Condition& condition) {
    const Instant give_up = clock_.Now() + seconds(60);
    while (!condition() && clock_.Now() < give_up) loop_.RunOnce(milliseconds(10));
    ASSERT_TRUE(condition());
  }
  void RunUntilEnded(const Outcome& outcome) {
    RunUntil([&] { return !outcome.ends.empty(); });
  }

  SystemClock clock_;
  EventLoop loop_{clock_};
  Health health_;
  Stdio stdio_;
  Broker broker_;
  std::unique_ptr<grpc::Server> server_;
  UniqueFd peer_;
  const tls::Identity host_ = MadeIdentity();
  std::optional<tls::testing::Server> tls_;
  std::unique_ptr<GrpcConnection> connection_;
};

TEST_F(GrpcConnectionTest, AnAnswerAndItsStatusCome) {
  Serve();
  for (int i = 0; i < 3; ++i) {
    Outcome outcome;
    Check("", &outcome);
    RunUntilEnded(outcome);
    EXPECT_TRUE(outcome.ends.at(0).ok()) << Message(outcome.ends[0]);
    HealthCheckResponse response;
    ASSERT_EQ(outcome.messages.size(), 1U);
    ASSERT_TRUE(response.ParseFromString(outcome.messages[0]));
    EXPECT_EQ(response.status(), HealthCheckResponse::SERVING);
    EXPECT_TRUE(connection_->idle());
  }
}

TEST_F(GrpcConnectionTest, AnErrorComesWithItsText) {
  Serve();
  Outcome unknown;
  Outcome unimplemented;
  Check("x", &unknown);
  Call("/no.Such/Method", "", seconds(60), &unimplemented);
  RunUntilEnded(unknown);
  RunUntilEnded(unimplemented);
  EXPECT_EQ(unknown.ends[0].code(), StatusCode::kNotFound);
  EXPECT_EQ(Message(unknown.ends[0]), "100% unb\xC3\xA9kannt");
  EXPECT_EQ(unimplemented.ends[0].code(), StatusCode::kUnimplemented);
}

TEST_F(GrpcConnectionTest, AStreamOfLargeMessagesComesWhole) {
  stdio_.chunks = {kMebibyte, 1, 3 * kMebibyte};
  Serve();
  Outcome outcome;
  Call(kStdio, "", std::nullopt, &outcome);
  RunUntilEnded(outcome);
  EXPECT_TRUE(outcome.ends[0].ok()) << Message(outcome.ends[0]);
  ASSERT_EQ(outcome.messages.size(), 3U);
  for (size_t i = 0; i < 3; ++i) {
    plugin::StdioData data;
    ASSERT_TRUE(data.ParseFromString(outcome.messages[i]));
    EXPECT_EQ(data.data().size(), stdio_.chunks[i]);
  }
}

TEST_F(GrpcConnectionTest, AMessageThatIsTooLargeEndsItsCallAlone) {
  stdio_.chunks = {1, 5 * kMebibyte};
  Serve();
  Outcome large;
  Outcome small;
  Call(kStdio, "", std::nullopt, &large);
  RunUntilEnded(large);
  EXPECT_EQ(large.messages.size(), 1U);
  EXPECT_EQ(large.ends[0].code(), StatusCode::kResourceExhausted);
  Check("", &small);
  RunUntilEnded(small);
  EXPECT_TRUE(small.ends[0].ok());
}

TEST_F(GrpcConnectionTest, ADeadlineEndsACallAndNothingElse) {
  Serve();
  Outcome slow;
  Outcome quick;
  Check("slow", &slow, milliseconds(30));
  RunUntilEnded(slow);
  EXPECT_EQ(slow.ends[0].code(), StatusCode::kDeadlineExceeded);
  Check("", &quick);
  RunUntilEnded(quick);
  EXPECT_TRUE(quick.ends[0].ok());
  EXPECT_EQ(slow.ends.size(), 1U);
}

TEST_F(GrpcConnectionTest, ADeadlineHoldsForAPeerThatSaysNothing) {
  Outcome outcome;
  Check("", &outcome, milliseconds(10));
  RunUntilEnded(outcome);
  EXPECT_EQ(outcome.ends[0].code(), StatusCode::kDeadlineExceeded);
  EXPECT_EQ(Message(outcome.ends[0]), "no answer within 0.01 s");
}

TEST_F(GrpcConnectionTest, ACancelledCallIsNeverHeardOfAgain) {
  Serve();
  Outcome cancelled;
  Outcome other;
  connection_->Cancel(Check("", &cancelled));
  Check("", &other);
  RunUntilEnded(other);
  EXPECT_TRUE(other.ends[0].ok());
  EXPECT_TRUE(cancelled.ends.empty());
}

TEST_F(GrpcConnectionTest, WhenThePeerClosesEveryCallEndsOnce) {
  Outcome one;
  Outcome two;
  Check("", &one);
  Check("", &two);
  loop_.RunOnce(milliseconds(0));
  peer_.reset();
  RunUntilEnded(two);
  for (const Outcome* outcome : {&one, &two}) {
    ASSERT_EQ(outcome->ends.size(), 1U);
    EXPECT_EQ(outcome->ends[0].code(), StatusCode::kUnavailable);
  }
  EXPECT_FALSE(connection_->usable());
  EXPECT_TRUE(connection_->idle());
}

TEST_F(GrpcConnectionTest, ACallOnABrokenConnectionFailsLater) {
  peer_.reset();
  RunUntil([&] { return !connection_->usable(); });
  Outcome outcome;
  Check("", &outcome);
  EXPECT_TRUE(outcome.ends.empty());
  RunUntilEnded(outcome);
  EXPECT_EQ(outcome.ends[0].code(), StatusCode::kUnavailable);
}

TEST_F(GrpcConnectionTest, APeerThatDoesNotSpeakHttp2LosesTheConnection) {
  Outcome outcome;
  Check("", &outcome);
  const std::string text = "HTTP/1.1 400 Bad Request\r\n\r\n and some more of it";
  ASSERT_GT(::send(peer_.get(), text.data(), text.size(), MSG_NOSIGNAL), 0);
  RunUntilEnded(outcome);
  EXPECT_EQ(outcome.ends[0].code(), StatusCode::kUnavailable);
  EXPECT_FALSE(connection_->usable());
}

TEST_F(GrpcConnectionTest, AfterAGoawayItTakesNoMoreCallsAndFailsThoseThatWereNotTaken) {
  Outcome outcome;
  Check("", &outcome);
  loop_.RunOnce(milliseconds(0));
  // An empty SETTINGS, then GOAWAY: last stream 0, no error.
  const std::string frames(
      "\0\0\0\x04\0\0\0\0\0"
      "\0\0\x08\x07\0\0\0\0\0\0\0\0\0\0\0\0\0",
      9 + 17);
  ASSERT_EQ(::send(peer_.get(), frames.data(), frames.size(), MSG_NOSIGNAL),
            static_cast<ssize_t>(frames.size()));
  RunUntilEnded(outcome);
  EXPECT_EQ(outcome.ends[0].code(), StatusCode::kUnavailable);
  EXPECT_FALSE(connection_->usable());
}

TEST_F(GrpcConnectionTest, AFloodOfPingsThatNobodyReadsTheAnswersOfIsNotKeptForEver) {
  std::string pings;
  for (int i = 0; i < 1000; ++i) pings += std::string("\0\0\x08\x06\0\0\0\0\0", 9) + "12345678";
  const std::string settings("\0\0\0\x04\0\0\0\0\0", 9);
  ASSERT_GT(::send(peer_.get(), settings.data(), settings.size(), MSG_NOSIGNAL), 0);
  RunUntil([&] {
    for (int i = 0; i < 10; ++i) {
      (void)!::send(peer_.get(), pings.data(), pings.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    }
    return !connection_->usable();
  });
}

TEST_F(GrpcConnectionTest, AStreamOfRequestsStaysOpenBetweenThem) {
  Serve();
  Outcome outcome;
  const auto id = connection_->OpenStream(
      kBroker, [&](const std::string& bytes) { outcome.messages.push_back(bytes); },
      [&](const absl::Status& status) { outcome.ends.push_back(status); });
  Outcome other;
  Check("", &other);
  RunUntilEnded(other);
  for (uint32_t i = 1; i <= 3; ++i) {
    plugin::ConnInfo info;
    info.set_service_id(i);
    ASSERT_TRUE(connection_->Send(id, info.SerializeAsString()));
    RunUntil([&] { return outcome.messages.size() == i; });
    ASSERT_TRUE(info.ParseFromString(outcome.messages.back()));
    EXPECT_EQ(info.service_id(), 2 * i);
  }
  EXPECT_TRUE(outcome.ends.empty());
  connection_->Cancel(id);
  EXPECT_FALSE(connection_->Send(id, ""));
}

TEST_F(GrpcConnectionTest, WhatAPluginDoesNotReadOfAStreamIsNotKeptForEver) {
  const auto id = connection_->OpenStream(
      kBroker, [](const std::string&) {}, [](const absl::Status&) {});
  const std::string message(1000, 'x');
  size_t taken = 0;
  while (connection_->Send(id, message)) ASSERT_LT(++taken, 1000U);
  EXPECT_GT(taken, 10U);
}

TEST_F(GrpcConnectionTest, CallsAndStreamsPassInsideTls) {
  const tls::Identity plugin = MadeIdentity();
  Encrypt(plugin, plugin);
  stdio_.chunks = {kMebibyte, 1, 3 * kMebibyte};
  Serve();
  std::vector<absl::Status> secured;
  connection_->Secure([&](const absl::Status& status) { secured.push_back(status); });
  RunUntil([&] { return !secured.empty(); });
  EXPECT_TRUE(secured[0].ok()) << Message(secured[0]);
  Outcome stream;
  Outcome call;
  Call(kStdio, "", std::nullopt, &stream);
  Check("", &call);
  RunUntilEnded(call);
  RunUntilEnded(stream);
  EXPECT_TRUE(call.ends[0].ok()) << Message(call.ends[0]);
  EXPECT_TRUE(stream.ends[0].ok()) << Message(stream.ends[0]);
  EXPECT_EQ(stream.messages.size(), 3U);
  EXPECT_EQ(secured.size(), 1U);
}

TEST_F(GrpcConnectionTest, AnImpostorIsNamedAndEndsEveryCall) {
  Encrypt(MadeIdentity(), MadeIdentity());
  std::vector<absl::Status> secured;
  connection_->Secure([&](const absl::Status& status) { secured.push_back(status); });
  Outcome call;
  Check("", &call);
  RunUntilEnded(call);
  ASSERT_EQ(secured.size(), 1U);
  EXPECT_EQ(secured[0].code(), StatusCode::kFailedPrecondition);
  EXPECT_NE(Message(secured[0]).find("is not the one of its handshake"), std::string::npos);
  EXPECT_EQ(call.ends[0].code(), StatusCode::kUnavailable);
}

TEST_F(GrpcConnectionTest, ACallbackMayDestroyTheConnection) {
  Serve();
  bool ended = false;
  connection_->Call(
      kCheck, "", seconds(60), [](const std::string&) {},
      [&](const absl::Status&) {
        connection_.reset();
        ended = true;
      });
  Outcome outcome;
  Check("slow", &outcome);  // which is not answered by itself
  RunUntil([&] { return ended; });
  loop_.RunOnce(milliseconds(10));
  EXPECT_TRUE(outcome.ends.empty());
}

TEST_F(GrpcConnectionTest, DestroyedAtOnceItTellsNobody) {
  Outcome outcome;
  Check("", &outcome);
  connection_.reset();
  loop_.RunOnce(milliseconds(0));
  EXPECT_TRUE(outcome.ends.empty());
}

}  // namespace
}  // namespace plugind::rpc
