// Channels as plugind::Client makes them, to a server that tells what arrived.
#include "plugind/client.h"

#include <gmock/gmock.h>
#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <future>
#include <mutex>
#include <vector>

#include "grpc/health/v1/health.grpc.pb.h"

namespace plugind {
namespace {

using grpc::ByteBuffer;
using grpc::health::v1::Health;
using grpc::health::v1::HealthCheckRequest;
using grpc::health::v1::HealthCheckResponse;
using std::chrono::seconds;
using std::chrono::system_clock;
using testing::AllOf;
using testing::Each;
using testing::ElementsAre;
using testing::Field;
using testing::IsEmpty;
using testing::SizeIs;

// One call as it arrived.
struct Seen {
  std::string authority;
  std::vector<std::string> plugins;  // each plugind-plugin
};

// Answers every call of every kind with the messages that it got.
class Echo final : public grpc::CallbackGenericService {
 public:
  // What has arrived since the last time.
  std::vector<Seen> Take() {
    const std::lock_guard lock(mutex_);
    return std::exchange(seen_, {});
  }

 private:
  class Reactor final : public grpc::ServerGenericBidiReactor {
   public:
    explicit Reactor(grpc::GenericCallbackServerContext* context) : context_(context) {
      StartRead(&message_);
    }
    void OnReadDone(bool ok) override {
      if (ok) return StartWrite(&message_);
      context_->AddTrailingMetadata("plugind-executed", "no");
      Finish(grpc::Status(grpc::StatusCode::OK, ""));
    }
    void OnWriteDone(bool /*ok*/) override { StartRead(&message_); }
    void OnDone() override { delete this; }

   private:
    grpc::GenericCallbackServerContext* context_;
    ByteBuffer message_;
  };

  grpc::ServerGenericBidiReactor* CreateReactor(
      grpc::GenericCallbackServerContext* context) override {
    Seen call{context->host(), {}};
    const auto [first, last] = context->client_metadata().equal_range("plugind-plugin");
    for (auto each = first; each != last; ++each) {
      call.plugins.emplace_back(each->second.data(), each->second.size());
    }
    const std::lock_guard lock(mutex_);
    seen_.push_back(std::move(call));
    return new Reactor(context);
  }

  std::mutex mutex_;
  std::vector<Seen> seen_;
};

class ClientTest : public testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/sdk-client-XXXXXX";
    directory_ = mkdtemp(name);
    std::filesystem::create_directory(directory_ + "/plugins");
    setenv("PLUGIND_SOCKET", (directory_ + "/plugind.sock").c_str(), 1);
    unsetenv("PLUGIND_HOST_ADDRESS");
  }
  void TearDown() override {
    Stop();
    unsetenv("PLUGIND_SOCKET");
    unsetenv("PLUGIND_HOST_ADDRESS");
    std::filesystem::remove_all(directory_);
  }

  void Serve(const std::string& socket) {
    grpc::ServerBuilder builder;
    builder.AddListeningPort("unix:" + directory_ + "/" + socket,
                             grpc::InsecureServerCredentials());
    echo_ = std::make_unique<Echo>();
    builder.RegisterCallbackGenericService(echo_.get());
    server_ = builder.BuildAndStart();
    ASSERT_TRUE(server_);
  }
  void ServeAsHost() {
    Serve("host.sock");
    setenv("PLUGIND_HOST_ADDRESS", ("unix:" + directory_ + "/host.sock").c_str(), 1);
  }
  void Stop() {
    if (server_) server_->Shutdown(system_clock::now());
    server_.reset();
  }

  // A call that waits until it can be sent.
  static grpc::Status Call(const std::shared_ptr<grpc::Channel>& channel,
                           grpc::ClientContext& context, seconds limit = seconds(10)) {
    context.set_wait_for_ready(true);
    context.set_deadline(system_clock::now() + limit);
    HealthCheckResponse response;
    return Health::NewStub(channel)->Check(&context, {}, &response);
  }
  static grpc::Status Call(const std::shared_ptr<grpc::Channel>& channel) {
    grpc::ClientContext context;
    return Call(channel, context);
  }

  std::string directory_;
  std::unique_ptr<Echo> echo_;  // the server's, whose life it shares
  std::unique_ptr<grpc::Server> server_;
};

// What gRPC has told a completion queue next.
void Next(grpc::CompletionQueue& queue) {
  void* tag = nullptr;
  bool ok = false;
  ASSERT_EQ(queue.AsyncNext(&tag, &ok, system_clock::now() + seconds(10)),
            grpc::CompletionQueue::GOT_EVENT);
}

TEST_F(ClientTest, CallsGoToThePluginsOwnSocketAndNameNobody) {
  Serve("plugins/kv.sock");
  EXPECT_TRUE(Call(Client().channel("kv")).ok());
  EXPECT_TRUE(Call(Client(directory_ + "/plugind.sock").channel("kv")).ok());
  EXPECT_THAT(echo_->Take(), AllOf(SizeIs(2), Each(Field(&Seen::plugins, IsEmpty()))));
}

TEST_F(ClientTest, ControlIsPlugindsSocket) {
  Serve("plugind.sock");
  EXPECT_TRUE(Call(Client().control()).ok());
  EXPECT_THAT(echo_->Take(), ElementsAre(Field(&Seen::plugins, IsEmpty())));
}

TEST_F(ClientTest, TheAuthorityIsNoPath) {
  Serve("plugind.sock");
  EXPECT_TRUE(Call(Client().control()).ok());
  EXPECT_THAT(echo_->Take(), ElementsAre(Field(&Seen::authority, "localhost")));
}

TEST_F(ClientTest, ConfigureGoesBeforeTheDefaults) {
  Serve("plugind.sock");
  Client client;
  client.configure([](grpc::ChannelArguments& arguments) {
    arguments.SetString(GRPC_ARG_DEFAULT_AUTHORITY, "elsewhere");
  });
  EXPECT_TRUE(Call(client.control()).ok());
  EXPECT_THAT(echo_->Take(), ElementsAre(Field(&Seen::authority, "elsewhere")));
}

TEST_F(ClientTest, WithinAPluginSynchronousCallsNameThePeer) {
  ServeAsHost();
  const auto stub = Health::NewStub(Client().channel("kv"));
  grpc::ClientContext unary;
  HealthCheckResponse response;
  EXPECT_TRUE(stub->Check(&unary, {}, &response).ok());
  grpc::ClientContext stream;
  const auto reader = stub->Watch(&stream, {});
  EXPECT_TRUE(reader->Read(&response));
  EXPECT_TRUE(reader->Finish().ok());
  EXPECT_THAT(echo_->Take(), AllOf(SizeIs(2), Each(Field(&Seen::plugins, ElementsAre("kv")))));
}

TEST_F(ClientTest, WithinAPluginCallsOnACompletionQueueNameThePeer) {
  ServeAsHost();
  const auto channel = Client().channel("kv");
  const auto stub = Health::NewStub(channel);
  grpc::CompletionQueue queue;
  grpc::Status status;
  grpc::ClientContext unary;
  HealthCheckResponse response;
  const auto call = stub->AsyncCheck(&unary, {}, &queue);
  call->Finish(&response, &status, nullptr);
  Next(queue);
  EXPECT_TRUE(status.ok());

  grpc::GenericStub generic(channel);
  grpc::ClientContext both;
  status = grpc::Status(grpc::StatusCode::UNKNOWN, "not yet");
  const auto stream = generic.PrepareCall(&both, "/any.Service/Method", &queue);
  stream->StartCall(nullptr);
  Next(queue);
  stream->WritesDone(nullptr);
  Next(queue);
  stream->Finish(&status, nullptr);
  Next(queue);
  EXPECT_TRUE(status.ok());
  EXPECT_THAT(echo_->Take(), AllOf(SizeIs(2), Each(Field(&Seen::plugins, ElementsAre("kv")))));
  queue.Shutdown();
}

class StreamReactor final : public grpc::ClientBidiReactor<ByteBuffer, ByteBuffer> {
 public:
  void OnDone(const grpc::Status& status) override { done.set_value(status); }
  std::promise<grpc::Status> done;
};

TEST_F(ClientTest, WithinAPluginCallbackCallsNameThePeer) {
  ServeAsHost();
  const auto channel = Client().channel("kv");
  const auto stub = Health::NewStub(channel);
  grpc::ClientContext unary;
  const HealthCheckRequest request;
  HealthCheckResponse response;
  std::promise<grpc::Status> done;
  stub->async()->Check(&unary, &request, &response,
                       [&](const grpc::Status& status) { done.set_value(status); });
  EXPECT_TRUE(done.get_future().get().ok());

  grpc::GenericStub generic(channel);
  grpc::ClientContext both;
  StreamReactor stream;
  generic.PrepareBidiStreamingCall(&both, "/any.Service/Method", {}, &stream);
  stream.StartWritesDone();
  stream.StartCall();
  EXPECT_TRUE(stream.done.get_future().get().ok());
  EXPECT_THAT(echo_->Take(), AllOf(SizeIs(2), Each(Field(&Seen::plugins, ElementsAre("kv")))));
}

TEST_F(ClientTest, WithinAPluginTheChannelsPeerWinsOverTheCallsOwn) {
  ServeAsHost();
  grpc::ClientContext context;
  context.AddMetadata("plugind-plugin", "other");
  EXPECT_TRUE(Call(Client().channel("kv"), context).ok());
  EXPECT_THAT(echo_->Take(), ElementsAre(Field(&Seen::plugins, ElementsAre("kv"))));
}

TEST_F(ClientTest, WithinAPluginAnExplicitSocketIsTheOneThatIsUsed) {
  ServeAsHost();
  Stop();
  Serve("plugins/kv.sock");
  EXPECT_TRUE(Call(Client(directory_ + "/plugind.sock").channel("kv")).ok());
  EXPECT_THAT(echo_->Take(), ElementsAre(Field(&Seen::plugins, IsEmpty())));
}

TEST_F(ClientTest, AChannelOutlivesTheClientAndTheEnvironmentThatItCameFrom) {
  ServeAsHost();
  const auto channel = Client().channel("kv");
  unsetenv("PLUGIND_HOST_ADDRESS");
  EXPECT_TRUE(Call(channel).ok());
  EXPECT_THAT(echo_->Take(), ElementsAre(Field(&Seen::plugins, ElementsAre("kv"))));
}

TEST_F(ClientTest, AChannelWaitsForAServerThatIsNotThereYetAndForOneThatComesBack) {
  const auto channel = Client().channel("kv");
  grpc::ClientContext early;
  auto waiting = std::async(std::launch::async, [&] { return Call(channel, early); });
  // The first tries have failed, and the wait between two of them has grown to its longest.
  while (channel->GetState(true) != GRPC_CHANNEL_TRANSIENT_FAILURE) {
    channel->WaitForStateChange(channel->GetState(false), system_clock::now() + seconds(1));
  }
  Serve("plugins/kv.sock");
  EXPECT_TRUE(waiting.get().ok());
  for (int round = 0; round < 3; ++round) {
    Stop();
    Serve("plugins/kv.sock");
    const auto began = system_clock::now();
    EXPECT_TRUE(Call(channel).ok());
    EXPECT_LT(system_clock::now() - began, seconds(3));
  }
}

TEST_F(ClientTest, WhatWasExecutedIsInTheTrailers) {
  Serve("plugins/kv.sock");
  grpc::ClientContext answered;
  EXPECT_TRUE(Call(Client().channel("kv"), answered).ok());
  EXPECT_EQ(executed(answered), Executed::kNo);

  grpc::ClientContext unreached;
  HealthCheckResponse response;
  const grpc::Status status =
      Health::NewStub(Client().channel("none"))->Check(&unreached, {}, &response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(executed(unreached), Executed::kUnknown);
  EXPECT_FALSE(error_info(status));
}

TEST_F(ClientTest, ThrowsAtOnceWhatCanBeKnownAtOnce) {
  EXPECT_THROW(Client().channel("../etc"), std::invalid_argument);
  EXPECT_THROW(Client(""), std::invalid_argument);
  EXPECT_THROW(Client(std::string(200, 'd')), std::invalid_argument);
  setenv("PLUGIND_HOST_ADDRESS", "127.0.0.1:80", 1);
  EXPECT_THROW(Client(), std::invalid_argument);
}

}  // namespace
}  // namespace plugind
