// The contract, plugind.plugin.v1.Plugin, of plugins that run as processes.
#include <gmock/gmock.h>
#include <google/protobuf/util/json_util.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <atomic>
#include <condition_variable>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <thread>

#include "plugind/host/v1/host.grpc.pb.h"
#include "plugind/plugin/v1/plugin.grpc.pb.h"
#include "sample.grpc.pb.h"
#include "sdk/cpp/testing/plugin_process.h"

namespace plugind::sdk {
namespace {

using plugin::v1::ConfigureRequest;
using plugin::v1::ConfigureResponse;
using plugin::v1::NegotiateResponse;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

void SetDeadline(grpc::ClientContext& context) {
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(10));
}

// plugind's side of a plugin's own door: takes status texts, says who is there, and notes which
// peer a call is for.
class FakeDoor final : public host::v1::Host::Service {
 public:
  explicit FakeDoor(const std::string& path) : address_("unix:" + path) {
    grpc::ServerBuilder builder;
    builder.AddListeningPort(address_, grpc::InsecureServerCredentials());
    builder.RegisterService(this);
    builder.RegisterService(&peer_);
    server_ = builder.BuildAndStart();
  }

  grpc::Status SetStatus(grpc::ServerContext* /*context*/,
                         const host::v1::SetStatusRequest* request,
                         host::v1::SetStatusResponse* /*response*/) override {
    std::lock_guard lock(mutex_);
    texts_.push_back(request->text());
    changed_.notify_all();
    return grpc::Status::OK;
  }

  grpc::Status GetSelf(grpc::ServerContext* /*context*/,
                       const host::v1::GetSelfRequest* /*request*/,
                       host::v1::GetSelfResponse* response) override {
    response->set_name("sample");
    return grpc::Status::OK;
  }

  grpc::Status ListPeers(grpc::ServerContext* context,
                         const host::v1::ListPeersRequest* /*request*/,
                         host::v1::ListPeersResponse* response) override {
    if (silent) {
      while (!context->IsCancelled()) std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    response->add_peers()->set_name("kv");
    response->add_peers()->set_name("other");
    return grpc::Status::OK;
  }

  const std::string& address() const { return address_; }
  const std::string& peer() const { return peer_.called; }
  const std::string& trace() const { return peer_.trace; }
  std::atomic<bool> silent = false;  // ListPeers does not answer
  bool WaitForText(const std::string& text) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(10),
                             [&] { return !texts_.empty() && texts_.back() == text; });
  }

 private:
  struct Peer final : sample::v1::Sample::Service {
    grpc::Status Print(grpc::ServerContext* context, const sample::v1::PrintRequest* /*request*/,
                       sample::v1::PrintResponse* /*response*/) override {
      called = Value(*context, "plugind-plugin");
      trace = Value(*context, "traceparent");
      return grpc::Status::OK;
    }
    static std::string Value(const grpc::ServerContext& context, const char* key) {
      const auto found = context.client_metadata().find(key);
      if (found == context.client_metadata().end()) return "";
      return {found->second.data(), found->second.size()};
    }
    // Read once the call is over.
    std::string called;
    std::string trace;
  };

  const std::string address_;
  Peer peer_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::string> texts_;
  std::unique_ptr<grpc::Server> server_;
};

class ContractTest : public testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/sdk-contract-XXXXXX";
    directory_ = mkdtemp(name);
  }
  void TearDown() override {
    process_.reset();
    std::filesystem::remove_all(directory_);
  }

  void Start(const std::vector<std::string>& arguments,
             const std::map<std::string, std::string>& more = {}) {
    std::map<std::string, std::string> environment = more;
    environment.insert({{"PLUGIND_PLUGIN", "1"},
                        {"PLUGIN_PROTOCOL_VERSIONS", "1"},
                        {"PLUGIND_INSTANCE", "7f3a"},
                        {"PLUGIN_UNIX_SOCKET_DIR", directory_}});
    std::vector<std::string> command = {SAMPLE_PLUGIN};
    command.insert(command.end(), arguments.begin(), arguments.end());
    process_ = std::make_unique<PluginProcess>(command, environment);
    const std::string path = process_->ReadAddress();
    ASSERT_NE(path, "") << process_->RestOfErrors();
    channel_ = grpc::CreateChannel("unix:" + path, grpc::InsecureChannelCredentials());
    contract_ = plugin::v1::Plugin::NewStub(channel_);
    sample_ = sample::v1::Sample::NewStub(channel_);
  }

  NegotiateResponse Negotiate() {
    grpc::ClientContext context;
    SetDeadline(context);
    plugin::v1::NegotiateRequest request;
    request.set_host("plugind");
    NegotiateResponse response;
    const grpc::Status status = contract_->Negotiate(&context, request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response;
  }

  // The violations, as "FIELD: REASON".
  std::vector<std::string> Configure(const std::string& json,
                                     const std::map<std::string, std::string>& agreed = {}) {
    grpc::ClientContext context;
    SetDeadline(context);
    ConfigureRequest request;
    EXPECT_TRUE(google::protobuf::util::JsonStringToMessage(json, request.mutable_settings()).ok());
    request.mutable_capabilities()->insert(agreed.begin(), agreed.end());
    ConfigureResponse response;
    const grpc::Status status = contract_->Configure(&context, request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    std::vector<std::string> violations;
    for (const auto& each : response.violations()) {
      violations.push_back(each.field() + ": " + each.reason());
    }
    return violations;
  }

  sample::v1::ContractResponse Known(const std::string& capability = "") {
    grpc::ClientContext context;
    SetDeadline(context);
    sample::v1::ContractRequest request;
    request.set_capability(capability);
    sample::v1::ContractResponse response;
    EXPECT_TRUE(sample_->Contract(&context, request, &response).ok());
    return response;
  }

  grpc::Status SetStatus(const std::string& text) {
    grpc::ClientContext context;
    SetDeadline(context);
    sample::v1::SetStatusRequest request;
    request.set_text(text);
    sample::v1::SetStatusResponse response;
    return sample_->SetStatus(&context, request, &response);
  }

  grpc::Status PrintAt(const std::string& peer, const std::string& trace = "") {
    grpc::ClientContext context;
    SetDeadline(context);
    if (!trace.empty()) context.AddMetadata("traceparent", trace);
    sample::v1::PrintAtRequest request;
    request.set_peer(peer);
    sample::v1::PrintResponse response;
    return sample_->PrintAt(&context, request, &response);
  }

  grpc::Status AskHost(sample::v1::AskHostResponse& response) {
    grpc::ClientContext context;
    SetDeadline(context);
    return sample_->AskHost(&context, sample::v1::AskHostRequest(), &response);
  }

  std::string directory_;
  std::unique_ptr<PluginProcess> process_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<plugin::v1::Plugin::Stub> contract_;
  std::unique_ptr<sample::v1::Sample::Stub> sample_;
};

// "NAME VERSION,VERSION" and "!" where it is required.
std::vector<std::string> Words(const NegotiateResponse& response) {
  std::vector<std::string> words;
  for (const auto& each : response.capabilities()) {
    std::string word = each.name();
    for (const auto& version : each.versions()) word += " " + version;
    words.push_back(word + (each.required() ? "!" : ""));
  }
  return words;
}

TEST_F(ContractTest, NegotiateSaysWhoThePluginIsAndWhatItCan) {
  Start({"--provides=kv.v1=1.4", "--provides=kv.v1=2.1", "--provides=kv.v1=1.2",
         "--require=app.db=3.0", "--configure", "--drain", "--schema={\"type\":\"object\"}"});
  const NegotiateResponse response = Negotiate();
  EXPECT_EQ(response.name(), "sample");
  EXPECT_EQ(response.version(), "0.0.1");
  EXPECT_THAT(response.services(), ElementsAre("sample.v1.Sample"));
  EXPECT_THAT(Words(response),
              ElementsAre("app.db 3.0!", "config.reload 1.0", "drain 1.0", "kv.v1 1.4 2.1",
                          "log.structured 1.0", "peer.calls 1.0", "trace 1.0"));
  EXPECT_EQ(response.config_schema(), "{\"type\":\"object\"}");
  EXPECT_EQ(response.sdk().language(), "c++");
  EXPECT_EQ(response.sdk().version(), "0.1.0");
}

TEST_F(ContractTest, WithoutHooksThereIsNeitherReloadNorDrain) {
  Start({});
  EXPECT_THAT(Words(Negotiate()), ElementsAre("log.structured 1.0", "peer.calls 1.0", "trace 1.0"));
  grpc::ClientContext context;
  SetDeadline(context);
  plugin::v1::DrainResponse response;
  EXPECT_EQ(contract_->Drain(&context, plugin::v1::DrainRequest(), &response).error_code(),
            grpc::StatusCode::UNIMPLEMENTED);
}

TEST_F(ContractTest, WhatWasAgreedComesWithTheSettings) {
  Start({"--provides=kv.v1=1.4"});
  EXPECT_EQ(Known("kv.v1").agreed(), "");
  EXPECT_THAT(Configure("{}", {{"kv.v1", "1.2"}}), IsEmpty());
  EXPECT_EQ(Known("kv.v1").agreed(), "1.2");
  EXPECT_EQ(Known("trace").agreed(), "");
}

TEST_F(ContractTest, SettingsAreTakenOrRefusedAsAWhole) {
  Start({"--configure"});
  EXPECT_EQ(Known().settings(), "{}");
  EXPECT_THAT(Configure(R"({"text": "one"})"), IsEmpty());
  EXPECT_EQ(Known().settings(), R"({"text":"one"})");
  EXPECT_THAT(Configure(R"({"text": "two", "limits": {"most": 11}})"),
              ElementsAre("limits.most: must be at most 10"));
  EXPECT_THAT(Configure(R"({"text": 2})"), ElementsAre("text: must be a string, not a number"));
  EXPECT_THAT(Configure(R"({"boom": 1})"), ElementsAre(": boom is not for sale"));
  EXPECT_EQ(Known().settings(), R"({"text":"one"})");
  EXPECT_THAT(Configure("{}"), IsEmpty());
  EXPECT_EQ(Known().settings(), "{}");
}

TEST_F(ContractTest, ASlowHookHoldsUpNothingButItsAnswer) {
  Start({"--configure"});
  std::thread slow([this] { EXPECT_THAT(Configure(R"({"sleep_ms": 500})"), IsEmpty()); });
  // The first call of the hook is over before the second begins, and is not in force until then.
  while (Known().settings() == "{}") {
  }
  slow.join();
  EXPECT_EQ(Known().settings(), R"({"sleep_ms":500})");
}

TEST_F(ContractTest, DrainRunsTheHookBeforeItAnswers) {
  Start({"--drain"});
  grpc::ClientContext context;
  SetDeadline(context);
  plugin::v1::DrainResponse response;
  EXPECT_TRUE(contract_->Drain(&context, plugin::v1::DrainRequest(), &response).ok());
  process_->Signal(SIGTERM);
  EXPECT_EQ(process_->ExitCode(), 0);
  EXPECT_THAT(process_->RestOfErrors(), HasSubstr("drain hook ran"));
}

TEST_F(ContractTest, ShutdownAnswersAndThenEndsItInOrder) {
  Start({});
  grpc::ClientContext context;
  SetDeadline(context);
  plugin::v1::ShutdownResponse response;
  EXPECT_TRUE(contract_->Shutdown(&context, plugin::v1::ShutdownRequest(), &response).ok());
  EXPECT_EQ(process_->ExitCode(), 0);
  EXPECT_THAT(process_->RestOfErrors(), HasSubstr("shutdown hook ran"));
}

TEST_F(ContractTest, AHookThatNeverEndsDoesNotKeepThePluginAlive) {
  Start({"--configure", "--timeout-ms=100"});
  grpc::ClientContext context;
  SetDeadline(context);
  ConfigureRequest request;
  (*request.mutable_settings()->mutable_fields())["sleep_ms"].set_number_value(60'000);
  ConfigureResponse response;
  grpc::CompletionQueue queue;
  const auto call = contract_->AsyncConfigure(&context, request, &queue);
  grpc::Status status;
  call->Finish(&response, &status, nullptr);
  Known();  // the connection is in use
  process_->Signal(SIGTERM);
  EXPECT_EQ(process_->ExitCode(), 0);
  void* tag = nullptr;
  bool ok = false;
  ASSERT_TRUE(queue.Next(&tag, &ok));
  EXPECT_FALSE(status.ok());
}

TEST_F(ContractTest, TheStatusTextGoesToTheHostTheNewestLast) {
  FakeDoor door(directory_ + "/host.sock");
  Start({}, {{"PLUGIND_HOST_ADDRESS", door.address()}});
  for (int i = 0; i < 50; ++i) ASSERT_TRUE(SetStatus("step " + std::to_string(i)).ok());
  EXPECT_TRUE(door.WaitForText("step 49"));
  ASSERT_TRUE(SetStatus("").ok());
  EXPECT_TRUE(door.WaitForText(""));
  // 1,023 bytes and a character of two, which does not fit any more.
  ASSERT_TRUE(SetStatus(std::string(1023, 'x') + "\u00e9").ok());
  EXPECT_TRUE(door.WaitForText(std::string(1023, 'x')));
}

TEST_F(ContractTest, AHostThatIsGoneCostsNothingButTheStatusText) {
  Start({}, {{"PLUGIND_HOST_ADDRESS", "unix:" + directory_ + "/nobody.sock"}});
  ASSERT_TRUE(SetStatus("hello").ok());
  process_->Signal(SIGTERM);
  EXPECT_EQ(process_->ExitCode(), 0);
}

TEST_F(ContractTest, APeerIsCalledByItsName) {
  FakeDoor door(directory_ + "/host.sock");
  Start({}, {{"PLUGIND_HOST_ADDRESS", door.address()}});
  const grpc::Status status = PrintAt("kv");
  EXPECT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(door.peer(), "kv");
  EXPECT_EQ(door.trace(), "");
  EXPECT_TRUE(PrintAt("kv", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01").ok());
  EXPECT_EQ(door.trace(), "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
  EXPECT_THAT(PrintAt("no name").error_message(), HasSubstr("is no plugin name"));
}

TEST_F(ContractTest, TheHostIsAskedWhoIsThere) {
  FakeDoor door(directory_ + "/host.sock");
  Start({}, {{"PLUGIND_HOST_ADDRESS", door.address()}});
  sample::v1::AskHostResponse response;
  const grpc::Status status = AskHost(response);
  EXPECT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(response.name(), "sample");
  EXPECT_THAT(response.peers(), ElementsAre("kv", "other"));
}

TEST_F(ContractTest, AHostThatDoesNotAnswerIsNotWaitedForForEver) {
  FakeDoor door(directory_ + "/host.sock");
  door.silent = true;
  Start({}, {{"PLUGIND_HOST_ADDRESS", door.address()}});
  sample::v1::AskHostResponse response;
  EXPECT_EQ(AskHost(response).error_code(), grpc::StatusCode::DEADLINE_EXCEEDED);
}

TEST_F(ContractTest, AHostThatIsGoneCannotBeAsked) {
  Start({}, {{"PLUGIND_HOST_ADDRESS", "unix:" + directory_ + "/nobody.sock"}});
  sample::v1::AskHostResponse response;
  EXPECT_EQ(AskHost(response).error_code(), grpc::StatusCode::UNAVAILABLE);
}

TEST_F(ContractTest, UnderAnotherHostThereAreNoPeersAndNoStatusText) {
  Start({});
  sample::v1::AskHostResponse response;
  EXPECT_EQ(AskHost(response).error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_THAT(PrintAt("kv").error_message(), HasSubstr("plugind"));
  EXPECT_TRUE(SetStatus("hello").ok());
}

// What an author has declared wrongly is said before anything is served.
TEST_F(ContractTest, AMistakeOfTheAuthorEndsItWithItsName) {
  const std::map<std::string, std::string> environment = {{"PLUGIND_PLUGIN", "1"}};
  for (const auto& [argument, expected] : std::map<std::string, std::string>{
           {"--provides=kv.v1=1", "\"1\" is no version"},
           {"--provides=k v=1.0", "\"k v\" is no name of a capability"},
           {"--schema=[]", "config_schema is no JSON object"}}) {
    PluginProcess plugin({SAMPLE_PLUGIN, argument}, environment);
    EXPECT_EQ(plugin.ExitCode(), 1) << argument;
    EXPECT_EQ(plugin.RestOfOutput(), "");
    const auto line = nlohmann::json::parse(plugin.RestOfErrors());
    EXPECT_THAT(line["@message"], HasSubstr(expected));
  }
}

TEST_F(ContractTest, InfoHasTheCapabilitiesAndTheSchema) {
  PluginProcess plugin(
      {SAMPLE_PLUGIN, "--require=app.db=3.0", "--schema={\"type\":\"object\"}", "--plugind-info"},
      {});
  EXPECT_EQ(plugin.ExitCode(), 0);
  const auto info = nlohmann::json::parse(plugin.RestOfOutput());
  EXPECT_EQ(info["capabilities"].size(), 4U);
  EXPECT_EQ(info["capabilities"][0],
            nlohmann::json::parse(R"({"name":"app.db","versions":["3.0"],"required":true})"));
  EXPECT_EQ(info["configSchema"], nlohmann::json::parse(R"({"type":"object"})"));
  EXPECT_EQ(info["sdk"], nlohmann::json::parse(R"({"language":"c++","version":"0.1.0"})"));
}

}  // namespace
}  // namespace plugind::sdk
