// Plugins made with the SDK, run as processes and talked to as hosts and callers do.
#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>

#include "grpc/health/v1/health.grpc.pb.h"
#include "grpc/reflection/v1alpha/reflection.grpc.pb.h"
#include "plugin/go_plugin.grpc.pb.h"
#include "sample.grpc.pb.h"
#include "sdk/cpp/src/auto_tls.h"
#include "sdk/cpp/testing/plugin_process.h"

namespace plugind::sdk {
namespace {

using grpc::health::v1::HealthCheckRequest;
using grpc::health::v1::HealthCheckResponse;
using testing::HasSubstr;
using testing::StartsWith;

std::shared_ptr<grpc::Channel> ChannelTo(const std::string& path) {
  grpc::ChannelArguments arguments;
  arguments.SetString(GRPC_ARG_DEFAULT_AUTHORITY, "localhost");
  // A connection of its own for each channel, as separate callers have.
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  return grpc::CreateCustomChannel("unix:" + path, grpc::InsecureChannelCredentials(), arguments);
}

void SetDeadline(grpc::ClientContext& context) {
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(10));
}

// The answer to Check, or -CODE of the error.
int Health(const std::shared_ptr<grpc::Channel>& channel, const std::string& service) {
  grpc::ClientContext context;
  SetDeadline(context);
  HealthCheckRequest request;
  request.set_service(service);
  HealthCheckResponse response;
  const grpc::Status status =
      grpc::health::v1::Health::NewStub(channel)->Check(&context, request, &response);
  return status.ok() ? static_cast<int>(response.status()) : -static_cast<int>(status.error_code());
}

grpc::Status SetServing(const std::shared_ptr<grpc::Channel>& channel, bool serving) {
  grpc::ClientContext context;
  SetDeadline(context);
  sample::v1::SetServingRequest request;
  request.set_serving(serving);
  sample::v1::SetServingResponse response;
  return sample::v1::Sample::NewStub(channel)->SetServing(&context, request, &response);
}

grpc::Status Print(const std::shared_ptr<grpc::Channel>& channel, const std::string& text,
                   bool cout = false) {
  grpc::ClientContext context;
  SetDeadline(context);
  sample::v1::PrintRequest request;
  request.set_text(text);
  request.set_cout(cout);
  sample::v1::PrintResponse response;
  return sample::v1::Sample::NewStub(channel)->Print(&context, request, &response);
}

grpc::Status Shutdown(const std::shared_ptr<grpc::Channel>& channel) {
  grpc::ClientContext context;
  SetDeadline(context);
  plugin::Empty response;
  return plugin::GRPCController::NewStub(channel)->Shutdown(&context, plugin::Empty(), &response);
}

class ServeTest : public testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/sdk-serve-XXXXXX";
    directory_ = mkdtemp(name);
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }

  // As a host built on go-plugin starts it; `more` is added to the environment, and wins.
  std::unique_ptr<PluginProcess> Start(const std::vector<std::string>& arguments = {},
                                       const std::map<std::string, std::string>& more = {}) const {
    std::map<std::string, std::string> environment = more;
    environment.insert({{"PLUGIND_PLUGIN", "1"},
                        {"PLUGIN_PROTOCOL_VERSIONS", "1"},
                        {"PLUGIN_UNIX_SOCKET_DIR", directory_}});
    std::vector<std::string> command = {SAMPLE_PLUGIN};
    command.insert(command.end(), arguments.begin(), arguments.end());
    return std::make_unique<PluginProcess>(command, environment);
  }
  std::unique_ptr<PluginProcess> StartUnderPlugind(
      const std::vector<std::string>& arguments = {}) const {
    return Start(arguments, {{"PLUGIND_INSTANCE", "7f3a"}, {"PLUGIND_NAME", "sample"}});
  }

  std::string directory_;
};

TEST_F(ServeTest, RunByHandItExplainsItself) {
  PluginProcess plugin({SAMPLE_PLUGIN}, {});
  EXPECT_EQ(plugin.ExitCode(), 1);
  EXPECT_EQ(plugin.RestOfOutput(), "");
  const std::string errors = plugin.RestOfErrors();
  EXPECT_THAT(errors, StartsWith("sample 0.0.1 is a plugin"));
  EXPECT_THAT(errors, HasSubstr("command = [\"" SAMPLE_PLUGIN "\"]"));
}

TEST_F(ServeTest, AnotherCookieValueIsRefusedByName) {
  const auto plugin = Start({"--cookie=BASIC_PLUGIN=hello"}, {{"BASIC_PLUGIN", "goodbye"}});
  EXPECT_EQ(plugin->ExitCode(), 1);
  EXPECT_THAT(plugin->RestOfErrors(), HasSubstr("BASIC_PLUGIN is set, but to another value"));
}

TEST_F(ServeTest, TheCookieOfAnotherHostCanBeChosen) {
  const auto plugin = Start({"--cookie=BASIC_PLUGIN=hello"}, {{"BASIC_PLUGIN", "hello"}});
  EXPECT_EQ(Health(ChannelTo(plugin->ReadAddress()), "plugin"), HealthCheckResponse::SERVING);
}

TEST_F(ServeTest, InfoIsJsonAndNeedsNoHost) {
  PluginProcess plugin({SAMPLE_PLUGIN, "--versions=4,2", "--plugind-info"}, {});
  EXPECT_EQ(plugin.ExitCode(), 0);
  const auto info = nlohmann::json::parse(plugin.RestOfOutput());
  EXPECT_EQ(info["name"], "sample");
  EXPECT_EQ(info["version"], "0.0.1");
  EXPECT_EQ(info["services"], nlohmann::json({"sample.v1.Sample"}));
  EXPECT_EQ(info["protocolVersions"], nlohmann::json({4, 2}));
  EXPECT_EQ(plugin.RestOfErrors(), "");
}

TEST_F(ServeTest, AnswersWithTheHighestCommonVersion) {
  const auto plugin = Start({"--versions=2,3,4"}, {{"PLUGIN_PROTOCOL_VERSIONS", "3,1,9,2"}});
  EXPECT_THAT(plugin->ReadLine(), StartsWith("1|3|unix|" + directory_ + "/plugin"));
}

TEST_F(ServeTest, AnswersWithItsLowestVersionWhenNoneIsCommon) {
  const auto plugin = Start({"--versions=3,2"}, {{"PLUGIN_PROTOCOL_VERSIONS", "9"}});
  EXPECT_THAT(plugin->ReadLine(), StartsWith("1|2|unix|"));
  EXPECT_EQ(plugin->ReadErrorsUntil("\n"),
            "sample serves protocol versions 2, 3; its host offers 9\n");
}

TEST_F(ServeTest, UnderPlugindTheSocketHasTheShortNameAndOnlyItsUserMayConnect) {
  const auto plugin = StartUnderPlugind();
  EXPECT_EQ(plugin->ReadLine(), "1|1|unix|" + directory_ + "/p.sock|grpc");
  struct stat file {};
  ASSERT_EQ(stat((directory_ + "/p.sock").c_str(), &file), 0);
  EXPECT_EQ(file.st_mode & 0777, 0600U);
}

TEST_F(ServeTest, ADirectoryThatIsTooDeepIsAnErrorWithItsName) {
  const std::string deep = directory_ + "/" + std::string(120, 'd');
  std::filesystem::create_directory(deep);
  const auto plugin = Start({}, {{"PLUGIN_UNIX_SOCKET_DIR", deep}});
  EXPECT_EQ(plugin->ExitCode(), 1);
  EXPECT_THAT(plugin->RestOfErrors(), HasSubstr(deep));
  EXPECT_EQ(plugin->RestOfOutput(), "");
}

TEST_F(ServeTest, WhatItDoesNotSpeakIsToldToTheHost) {
  const auto multiplex = Start({}, {{"PLUGIN_MULTIPLEX_GRPC", "true"}});
  EXPECT_EQ(multiplex->ExitCode(), 1);
  EXPECT_THAT(multiplex->RestOfErrors(), HasSubstr("multiplexing"));
}

TEST_F(ServeTest, AClientCertificateThatIsNoneIsToldToTheHost) {
  const auto plugin = Start({}, {{"PLUGIN_CLIENT_CERT", "-----BEGIN CERTIFICATE-----"}});
  EXPECT_EQ(plugin->ExitCode(), 1);
  EXPECT_THAT(plugin->RestOfErrors(), HasSubstr("PLUGIN_CLIENT_CERT"));
  EXPECT_EQ(plugin->RestOfOutput(), "");
}

// A channel as a host with AutoMTLS makes it: `own` is shown, and only field 6 is trusted.
std::shared_ptr<grpc::Channel> SecureChannelTo(const std::string& path, const std::string& field6,
                                               const ThrowAwayIdentity& own) {
  std::string padded = field6;
  while (padded.size() % 4 != 0) padded += '=';
  grpc::SslCredentialsOptions options;
  options.pem_root_certs =
      "-----BEGIN CERTIFICATE-----\n" + padded + "\n-----END CERTIFICATE-----\n";
  options.pem_private_key = own.key;
  options.pem_cert_chain = own.certificate;
  grpc::ChannelArguments arguments;
  arguments.SetSslTargetNameOverride("localhost");
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  return grpc::CreateCustomChannel("unix:" + path, grpc::SslCredentials(options), arguments);
}

TEST_F(ServeTest, WithAutoMtlsOnlyTheHostsCertificateGetsIn) {
  const ThrowAwayIdentity host = MakeThrowAwayIdentity();
  const auto plugin = Start({}, {{"PLUGIN_CLIENT_CERT", host.certificate}});
  const std::string path = plugin->ReadAddress();
  ASSERT_NE(plugin->certificate(), "");
  EXPECT_THAT(plugin->certificate(), testing::Not(HasSubstr("=")));
  const auto channel = SecureChannelTo(path, plugin->certificate(), host);
  EXPECT_EQ(Health(channel, "plugin"), HealthCheckResponse::SERVING);
  // Everything is inside of it: the author's calls, large ones, many connections.
  EXPECT_TRUE(Print(channel, std::string(1 << 20, 'x')).ok());
  for (int i = 0; i < 10; ++i) {
    EXPECT_EQ(Health(SecureChannelTo(path, plugin->certificate(), host), ""),
              HealthCheckResponse::SERVING);
  }
  const ThrowAwayIdentity stranger = MakeThrowAwayIdentity();
  EXPECT_EQ(Health(SecureChannelTo(path, plugin->certificate(), stranger), ""),
            -grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(Health(SecureChannelTo(path, stranger.encoded, host), ""),
            -grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(Health(ChannelTo(path), ""), -grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(Health(channel, ""), HealthCheckResponse::SERVING);
  EXPECT_TRUE(Shutdown(channel).ok());
  EXPECT_EQ(plugin->ExitCode(), 0);
}

TEST_F(ServeTest, TheBrokersStreamIsTakenAndHeldUntilTheEnd) {
  const auto plugin = Start();
  const auto channel = ChannelTo(plugin->ReadAddress());
  const auto stub = plugin::GRPCBroker::NewStub(channel);
  grpc::ClientContext context;
  SetDeadline(context);
  const auto stream = stub->StartStream(&context);
  plugin::ConnInfo message;
  message.set_service_id(1);
  message.set_network("unix");
  message.set_address("/nowhere");
  for (int i = 0; i < 1000; ++i) ASSERT_TRUE(stream->Write(message));
  grpc::ClientContext closed_context;
  SetDeadline(closed_context);
  const auto closed = stub->StartStream(&closed_context);
  closed->WritesDone();
  EXPECT_TRUE(closed->Finish().ok());
  EXPECT_TRUE(Shutdown(channel).ok());
  EXPECT_FALSE(stream->Read(&message));
  EXPECT_TRUE(stream->Finish().ok());
  EXPECT_EQ(plugin->ExitCode(), 0);
}

TEST_F(ServeTest, AFailingStartHookEndsItBeforeTheHandshake) {
  const auto plugin = Start({"--fail-start"});
  EXPECT_EQ(plugin->ExitCode(), 1);
  EXPECT_EQ(plugin->RestOfOutput(), "");
  EXPECT_THAT(plugin->RestOfErrors(), HasSubstr("cannot serve: no database"));
  EXPECT_TRUE(std::filesystem::is_empty(directory_));
}

TEST_F(ServeTest, HealthKnowsThePluginAndItsServices) {
  const auto plugin = StartUnderPlugind();
  const auto channel = ChannelTo(plugin->ReadAddress());
  EXPECT_EQ(Health(channel, ""), HealthCheckResponse::SERVING);
  EXPECT_EQ(Health(channel, "plugin"), HealthCheckResponse::SERVING);
  EXPECT_EQ(Health(channel, "sample.v1.Sample"), HealthCheckResponse::SERVING);
  EXPECT_EQ(Health(channel, "other"), -grpc::StatusCode::NOT_FOUND);
  ASSERT_TRUE(SetServing(channel, false).ok());
  EXPECT_EQ(Health(channel, "plugin"), HealthCheckResponse::NOT_SERVING);
}

TEST_F(ServeTest, AWatchSeesEveryChangeAndTheEnd) {
  const auto plugin = StartUnderPlugind();
  const auto channel = ChannelTo(plugin->ReadAddress());
  const auto stub = grpc::health::v1::Health::NewStub(channel);
  grpc::ClientContext context;
  SetDeadline(context);
  HealthCheckRequest request;
  request.set_service("plugin");
  const auto watch = stub->Watch(&context, request);
  HealthCheckResponse response;
  ASSERT_TRUE(watch->Read(&response));
  EXPECT_EQ(response.status(), HealthCheckResponse::SERVING);
  ASSERT_TRUE(SetServing(channel, false).ok());
  ASSERT_TRUE(watch->Read(&response));
  EXPECT_EQ(response.status(), HealthCheckResponse::NOT_SERVING);
  ASSERT_TRUE(SetServing(channel, true).ok());
  ASSERT_TRUE(watch->Read(&response));
  EXPECT_EQ(response.status(), HealthCheckResponse::SERVING);
  plugin->Signal(SIGTERM);
  ASSERT_TRUE(watch->Read(&response));
  EXPECT_EQ(response.status(), HealthCheckResponse::NOT_SERVING);
  EXPECT_FALSE(watch->Read(&response));
  EXPECT_EQ(watch->Finish().error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(plugin->ExitCode(), 0);
}

TEST_F(ServeTest, ManyWatchesComeAndGo) {
  const auto plugin = StartUnderPlugind();
  const auto channel = ChannelTo(plugin->ReadAddress());
  const auto stub = grpc::health::v1::Health::NewStub(channel);
  HealthCheckResponse response;
  for (int round = 0; round < 20; ++round) {
    std::vector<std::unique_ptr<grpc::ClientContext>> contexts;
    std::vector<std::unique_ptr<grpc::ClientReader<HealthCheckResponse>>> watches;
    for (int i = 0; i < 10; ++i) {
      contexts.push_back(std::make_unique<grpc::ClientContext>());
      SetDeadline(*contexts.back());
      watches.push_back(stub->Watch(contexts.back().get(), HealthCheckRequest()));
    }
    for (const auto& watch : watches) ASSERT_TRUE(watch->Read(&response));
    for (size_t i = 0; i < contexts.size(); i += 2) contexts[i]->TryCancel();
    ASSERT_TRUE(SetServing(channel, round % 2 == 1).ok());
    for (size_t i = 1; i < watches.size(); i += 2) ASSERT_TRUE(watches[i]->Read(&response));
    for (size_t i = 1; i < contexts.size(); i += 2) contexts[i]->TryCancel();
    for (const auto& watch : watches) watch->Finish();
  }
  plugin->Signal(SIGTERM);
  EXPECT_EQ(plugin->ExitCode(), 0);
}

TEST_F(ServeTest, ReflectionListsAndDescribes) {
  using grpc::reflection::v1alpha::ServerReflection;
  using grpc::reflection::v1alpha::ServerReflectionRequest;
  using grpc::reflection::v1alpha::ServerReflectionResponse;
  const auto plugin = StartUnderPlugind();
  const auto stub = ServerReflection::NewStub(ChannelTo(plugin->ReadAddress()));
  grpc::ClientContext context;
  SetDeadline(context);
  const auto stream = stub->ServerReflectionInfo(&context);
  ServerReflectionRequest request;
  ServerReflectionResponse response;

  request.set_list_services("");
  ASSERT_TRUE(stream->Write(request) && stream->Read(&response));
  std::vector<std::string> services;
  for (const auto& service : response.list_services_response().service()) {
    services.push_back(service.name());
  }
  EXPECT_THAT(services, testing::IsSupersetOf({"sample.v1.Sample", "grpc.health.v1.Health",
                                               "plugin.GRPCController", "plugin.GRPCStdio"}));
  for (const std::string& service : services) {
    if (service.rfind("grpc.reflection.", 0) == 0) continue;
    request.set_file_containing_symbol(service);
    ASSERT_TRUE(stream->Write(request) && stream->Read(&response));
    EXPECT_GT(response.file_descriptor_response().file_descriptor_proto_size(), 0) << service;
  }
  stream->WritesDone();
  EXPECT_TRUE(stream->Finish().ok());
}

TEST_F(ServeTest, ShutdownEndsItInOrder) {
  const auto plugin = StartUnderPlugind();
  const std::string path = plugin->ReadAddress();
  const auto channel = ChannelTo(path);
  EXPECT_TRUE(Shutdown(channel).ok());
  EXPECT_EQ(plugin->ExitCode(), 0);
  EXPECT_FALSE(std::filesystem::exists(path));
  EXPECT_THAT(plugin->RestOfErrors(), HasSubstr("shutdown hook ran"));
}

TEST_F(ServeTest, SigtermEndsItInOrder) {
  const auto plugin = StartUnderPlugind();
  const std::string path = plugin->ReadAddress();
  plugin->Signal(SIGTERM);
  EXPECT_EQ(plugin->ExitCode(), 0);
  EXPECT_FALSE(std::filesystem::exists(path));
  EXPECT_THAT(plugin->RestOfErrors(), HasSubstr("shutdown hook ran"));
}

TEST_F(ServeTest, SigintIsTheHostsBusiness) {
  const auto plugin = StartUnderPlugind();
  const auto channel = ChannelTo(plugin->ReadAddress());
  plugin->Signal(SIGINT);
  EXPECT_EQ(Health(channel, ""), HealthCheckResponse::SERVING);
}

TEST_F(ServeTest, AClientThatIsIdleDoesNotDelayTheStop) {
  const auto plugin = StartUnderPlugind({"--timeout-ms=60000"});
  const std::string path = plugin->ReadAddress();
  // A gRPC client between two calls reads nothing, and one that is stopped never will.
  const auto channel = ChannelTo(path);
  ASSERT_TRUE(Print(channel, "").ok());
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.data(), path.size());
  const Fd silent(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  ASSERT_EQ(connect(silent.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
  plugin->Signal(SIGTERM);
  EXPECT_EQ(plugin->ExitCode(), 0);
}

// A call of 300 ms, in the middle of which the plugin is told to stop.
void ExpectARunningCallToFinish(PluginProcess& plugin) {
  const auto channel = ChannelTo(plugin.ReadAddress());
  const auto stub = sample::v1::Sample::NewStub(channel);
  grpc::ClientContext context;
  SetDeadline(context);
  sample::v1::SleepRequest request;
  request.set_milliseconds(300);
  grpc::CompletionQueue queue;
  const auto call = stub->AsyncSleep(&context, request, &queue);
  sample::v1::SleepResponse response;
  grpc::Status status;
  call->Finish(&response, &status, nullptr);
  // The connection is in use once another call on it has been answered.
  ASSERT_TRUE(Print(channel, "").ok());
  plugin.Signal(SIGTERM);
  void* tag = nullptr;
  bool ok = false;
  ASSERT_TRUE(queue.Next(&tag, &ok));
  EXPECT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(plugin.ExitCode(), 0);
}

TEST_F(ServeTest, ARunningCallMayFinishDuringTheStop) {
  ExpectARunningCallToFinish(*StartUnderPlugind());
}

TEST_F(ServeTest, ARunningCallMayFinishWhereTheAuthorHasInterceptors) {
  ExpectARunningCallToFinish(*StartUnderPlugind({"--own-interceptors"}));
}

TEST_F(ServeTest, ACallThatIgnoresItsCancellationDoesNotKeepItAlive) {
  const auto plugin = StartUnderPlugind({"--timeout-ms=100"});
  const auto channel = ChannelTo(plugin->ReadAddress());
  const auto stub = sample::v1::Sample::NewStub(channel);
  grpc::ClientContext context;
  SetDeadline(context);
  sample::v1::SleepRequest request;
  request.set_milliseconds(60'000);
  grpc::CompletionQueue queue;
  const auto call = stub->AsyncSleep(&context, request, &queue);
  sample::v1::SleepResponse response;
  grpc::Status status;
  call->Finish(&response, &status, nullptr);
  ASSERT_TRUE(Print(channel, "").ok());
  plugin->Signal(SIGTERM);
  EXPECT_EQ(plugin->ExitCode(), 0);
  EXPECT_THAT(plugin->RestOfErrors(), HasSubstr("ending without them"));
  void* tag = nullptr;
  bool ok = false;
  ASSERT_TRUE(queue.Next(&tag, &ok));
  EXPECT_FALSE(status.ok());
}

TEST_F(ServeTest, UnderPlugindAStrayPrintIsALineOfStdout) {
  const auto plugin = StartUnderPlugind();
  const auto channel = ChannelTo(plugin->ReadAddress());
  ASSERT_TRUE(Print(channel, "one line\n").ok());
  EXPECT_EQ(plugin->ReadLine(), "one line");
  ASSERT_TRUE(Print(channel, "by cout\n", true).ok());
  EXPECT_EQ(plugin->ReadLine(), "by cout");
  const auto stub = plugin::GRPCStdio::NewStub(channel);
  grpc::ClientContext context;
  SetDeadline(context);
  // Open and idle, and no hindrance to the stop.
  const auto stream = stub->StreamStdio(&context, google::protobuf::Empty());
  ASSERT_TRUE(Print(channel, "again\n").ok());
  EXPECT_EQ(plugin->ReadLine(), "again");
  plugin->Signal(SIGTERM);
  plugin::StdioData data;
  EXPECT_FALSE(stream->Read(&data));
  EXPECT_TRUE(stream->Finish().ok());
  EXPECT_EQ(plugin->ExitCode(), 0);
}

std::string ReadStdio(grpc::ClientReader<plugin::StdioData>& stream, const std::string& until) {
  std::string text;
  plugin::StdioData data;
  while (text.find(until) == std::string::npos && stream.Read(&data)) {
    EXPECT_EQ(data.channel(), plugin::StdioData::STDOUT);
    EXPECT_LE(data.data().size(), 1024U);
    text += data.data();
  }
  return text;
}

TEST_F(ServeTest, UnderAGoPluginHostStrayPrintsGoOverStdioAndNotOverStdout) {
  const auto plugin = Start({"--early-print"});
  // The handshake is the first line, although something was printed before.
  const std::string path = plugin->ReadAddress();
  ASSERT_NE(path, "");
  const auto channel = ChannelTo(path);
  ASSERT_TRUE(Print(channel, "before anyone reads\n").ok());
  const auto stub = plugin::GRPCStdio::NewStub(channel);
  grpc::ClientContext context;
  SetDeadline(context);
  const auto stream = stub->StreamStdio(&context, google::protobuf::Empty());
  EXPECT_EQ(ReadStdio(*stream, "reads\n"), "printed before serve\nbefore anyone reads\n");
  ASSERT_TRUE(Print(channel, "while it reads\n", true).ok());
  EXPECT_EQ(ReadStdio(*stream, "\n"), "while it reads\n");
  ASSERT_TRUE(Print(channel, "last words\n").ok());
  ASSERT_TRUE(Shutdown(channel).ok());
  EXPECT_EQ(ReadStdio(*stream, "never"), "last words\n");
  EXPECT_TRUE(stream->Finish().ok());
  EXPECT_EQ(plugin->ExitCode(), 0);
  EXPECT_EQ(plugin->RestOfOutput(), "");
}

TEST_F(ServeTest, PrintsThatNobodyReadsDoNotBlock) {
  const auto plugin = Start();
  const auto channel = ChannelTo(plugin->ReadAddress());
  std::string block;
  while (block.size() < 64 * 1024) block += "nobody will ever read this\n";
  for (int i = 0; i < 32; ++i) ASSERT_TRUE(Print(channel, block).ok());
  const auto stub = plugin::GRPCStdio::NewStub(channel);
  grpc::ClientContext context;
  SetDeadline(context);
  const auto stream = stub->StreamStdio(&context, google::protobuf::Empty());
  EXPECT_THAT(ReadStdio(*stream, "dropped"), StartsWith("["));
}

TEST_F(ServeTest, TheNewestReaderOfStdioWins) {
  const auto plugin = Start();
  const auto channel = ChannelTo(plugin->ReadAddress());
  const auto stub = plugin::GRPCStdio::NewStub(channel);
  grpc::ClientContext first_context;
  SetDeadline(first_context);
  const auto first = stub->StreamStdio(&first_context, google::protobuf::Empty());
  ASSERT_TRUE(Print(channel, "to the first\n").ok());
  EXPECT_EQ(ReadStdio(*first, "\n"), "to the first\n");
  grpc::ClientContext second_context;
  SetDeadline(second_context);
  const auto second = stub->StreamStdio(&second_context, google::protobuf::Empty());
  plugin::StdioData data;
  EXPECT_FALSE(first->Read(&data));
  EXPECT_EQ(first->Finish().error_code(), grpc::StatusCode::ABORTED);
  ASSERT_TRUE(Print(channel, "to the second\n").ok());
  EXPECT_EQ(ReadStdio(*second, "\n"), "to the second\n");
}

TEST_F(ServeTest, ServesManyConnections) {
  const auto plugin = StartUnderPlugind();
  const std::string path = plugin->ReadAddress();
  std::vector<std::shared_ptr<grpc::Channel>> channels;
  for (int i = 0; i < 100; ++i) {
    channels.push_back(ChannelTo(path));
    ASSERT_EQ(Health(channels.back(), ""), HealthCheckResponse::SERVING) << i;
  }
  EXPECT_EQ(Health(channels.front(), ""), HealthCheckResponse::SERVING);
}

TEST_F(ServeTest, RunningOutOfFdsDelaysConnectionsAndKillsNothing) {
#ifdef __SANITIZE_ADDRESS__
  // UBSan's vptr check asks the kernel through a pipe whether memory is readable, and takes the
  // lack of fds for a bad object.
  GTEST_SKIP() << "UBSan itself fails without fds";
#endif
  const auto plugin = StartUnderPlugind({"--nofile=40"});
  const std::string path = plugin->ReadAddress();
  const auto channel = ChannelTo(path);
  ASSERT_EQ(Health(channel, ""), HealthCheckResponse::SERVING);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.data(), path.size());
  std::vector<Fd> clients;
  for (int i = 0; i < 60; ++i) {
    clients.emplace_back(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    ASSERT_EQ(
        connect(clients.back().get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)),
        0);
  }
  EXPECT_NE(plugin->ReadErrorsUntil("cannot accept connections"), "");
  EXPECT_EQ(Health(channel, ""), HealthCheckResponse::SERVING);
  clients.clear();
  EXPECT_EQ(Health(ChannelTo(path), ""), HealthCheckResponse::SERVING);
  plugin->Signal(SIGTERM);
  EXPECT_EQ(plugin->ExitCode(), 0);
}

// The plugin's host is a shell, which is killed. The plugin has 2 s.
void ExpectEndWithItsHost(const std::string& directory, const std::string& argument) {
  PluginProcess host({"/bin/sh", "-c", "\"$0\" " + argument + " & wait", SAMPLE_PLUGIN},
                     {{"PLUGIND_PLUGIN", "1"}, {"PLUGIN_UNIX_SOCKET_DIR", directory}});
  const std::string path = host.ReadAddress();
  ASSERT_TRUE(std::filesystem::exists(path));
  const auto killed = std::chrono::steady_clock::now();
  host.Signal(SIGKILL);
  EXPECT_EQ(host.ExitCode(), 128 + SIGKILL);
  // The plugin holds stderr too, so its end is the end of the stream.
  const std::string errors = host.ReadErrorsUntil("shutdown hook ran") + host.RestOfErrors();
  // A second of it is for a machine under load.
  EXPECT_LT(std::chrono::steady_clock::now() - killed, std::chrono::seconds(3));
  EXPECT_THAT(errors, HasSubstr("the host is gone"));
  EXPECT_THAT(errors, HasSubstr("shutdown hook ran"));
  EXPECT_FALSE(std::filesystem::exists(path));
}

TEST_F(ServeTest, EndsInOrderWhenItsHostIsGone) { ExpectEndWithItsHost(directory_, ""); }

TEST_F(ServeTest, EndsWithinItsLeaseWhereThereAreNoPidfds) {
  ExpectEndWithItsHost(directory_, "--no-pidfd");
}

}  // namespace
}  // namespace plugind::sdk
