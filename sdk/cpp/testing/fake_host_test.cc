// Plugins in the fake host that authors test with.
#include "plugind/testing/fake_host.h"

#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <chrono>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "plugind/plugin.h"
#include "plugind/version.h"
#include "sample.grpc.pb.h"

namespace {

using plugind::testing::FakeHost;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Pair;

class Sample final : public sample::v1::Sample::Service {
 public:
  explicit Sample(std::string name) : name_(std::move(name)) {}

  grpc::Status Print(grpc::ServerContext* /*context*/, const sample::v1::PrintRequest* request,
                     sample::v1::PrintResponse* /*response*/) override {
    return {grpc::StatusCode::ABORTED, name_ + " was told " + request->text()};
  }

 private:
  const std::string name_;
};

std::string Print(const std::shared_ptr<grpc::Channel>& channel, const std::string& text) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(10));
  sample::v1::PrintRequest request;
  request.set_text(text);
  sample::v1::PrintResponse response;
  return sample::v1::Sample::NewStub(channel)->Print(&context, request, &response).error_message();
}

TEST(FakeHostTest, ServesThePluginInThisProcess) {
  Sample impl("the plugin");
  plugind::Plugin plugin("sample", "1.2.3");
  plugin.service(&impl);
  FakeHost host(plugin);
  EXPECT_TRUE(host.serving());
  EXPECT_EQ(Print(host.channel(), "hello"), "the plugin was told hello");
  plugin.set_serving(false);
  EXPECT_FALSE(host.serving());
}

TEST(FakeHostTest, NegotiatesByTheRuleOfTheContract) {
  Sample impl("the plugin");
  plugind::Plugin plugin("sample", "1.2.3");
  plugin.service(&impl)
      .provides("kv", "1.9")
      .provides("kv", "2.0")
      .provides("mine")
      .require("app", "1.1")
      .config_schema("{}");
  FakeHost host(plugin);
  host.offer("kv", "1.4").offer("kv", "2.1").offer("app", "1.7").offer("theirs");
  const FakeHost::Negotiated negotiated = host.negotiate();
  EXPECT_EQ(negotiated.name, "sample");
  EXPECT_EQ(negotiated.version, "1.2.3");
  EXPECT_THAT(negotiated.services, ElementsAre("sample.v1.Sample"));
  EXPECT_EQ(negotiated.config_schema, "{}");
  EXPECT_THAT(negotiated.agreed,
              ElementsAre(Pair("app", "1.1"), Pair("kv", "2.0"), Pair("log.structured", "1.0"),
                          Pair("peer.calls", "1.0"), Pair("trace", "1.0")));
  EXPECT_EQ(plugin.agreed("kv"), std::nullopt);
  EXPECT_TRUE(host.configure().empty());
  EXPECT_EQ(plugin.agreed("kv"), "2.0");
}

TEST(FakeHostTest, WhatThePluginRequiresMustBeOffered) {
  plugind::Plugin plugin("sample", "1.2.3");
  plugin.require("app", "2.0");
  FakeHost host(plugin);
  host.offer("app", "1.0");
  EXPECT_THROW(host.negotiate(), std::runtime_error);
}

TEST(FakeHostTest, HandsOverSettingsAndShowsWhyTheyAreRefused) {
  plugind::Plugin plugin("sample", "1.2.3");
  plugin.on_configure([](const plugind::Settings& settings) -> plugind::Violations {
    if (settings.get("most", 1) > 3) return {{"most", "must be at most 3"}, {"", "and else"}};
    return {};
  });
  FakeHost host(plugin);
  EXPECT_TRUE(host.configure(R"({"most": 3})").empty());
  const plugind::Violations violations = host.configure(R"({"most": 4})");
  ASSERT_EQ(violations.size(), 2U);
  EXPECT_EQ(violations[0].field, "most");
  EXPECT_EQ(violations[0].reason, "must be at most 3");
  EXPECT_EQ(plugin.settings().get("most", 0), 3);
  EXPECT_THROW(host.configure("no JSON"), std::invalid_argument);
}

TEST(FakeHostTest, PlaysPeersAndDeniesTheOthers) {
  Sample kv("kv");
  Sample other("other");
  plugind::Plugin plugin("sample", "1.2.3");
  FakeHost host(plugin);
  host.peer("kv", kv).peer("other", other);
  EXPECT_EQ(Print(plugin.peer("kv"), "one"), "kv was told one");
  EXPECT_EQ(Print(plugin.peer("other"), "two"), "other was told two");
  EXPECT_EQ(Print(plugin.peer("kv"), "three"), "kv was told three");
  EXPECT_THAT(Print(plugin.peer("nobody"), "four"), HasSubstr("peer nobody"));
}

TEST(FakeHostTest, SaysWhoThePluginIs) {
  plugind::Plugin plugin("sample", "1.2.3");
  plugin.protocol_version(2).protocol_version(3).require("app", "1.1");
  FakeHost host(plugin);
  EXPECT_THAT(plugin.identity().capabilities, IsEmpty());
  host.offer("app", "1.7").negotiate();
  const plugind::Identity self = plugin.identity();
  EXPECT_EQ(self.name, "sample");
  EXPECT_EQ(self.instance, "fake");
  EXPECT_EQ(self.protocol_version, 3U);
  EXPECT_THAT(self.capabilities, Contains(Pair("app", "1.1")));
  EXPECT_EQ(self.host, "plugind");
  EXPECT_EQ(self.host_version, PLUGIND_VERSION);
}

TEST(FakeHostTest, ListsThePeersThatItPlays) {
  Sample kv("kv");
  Sample other("other");
  plugind::Plugin plugin("sample", "1.2.3");
  FakeHost host(plugin);
  EXPECT_THAT(plugin.peers(), IsEmpty());
  host.peer("other", other).peer("kv", kv);
  EXPECT_NE(Print(plugin.peer("nobody"), "hello"), "");
  const std::vector<plugind::Peer> peers = plugin.peers();
  ASSERT_EQ(peers.size(), 2U);
  EXPECT_EQ(peers[0].name, "kv");
  EXPECT_EQ(peers[0].state, "READY");
  EXPECT_THAT(peers[0].services, ElementsAre("sample.v1.Sample"));
  EXPECT_THAT(peers[0].methods, ElementsAre("*"));
  EXPECT_EQ(peers[1].name, "other");
  EXPECT_EQ(Print(plugin.peer("kv"), "one"), "kv was told one");
}

TEST(FakeHostTest, ShowsTheStatusTextAndTheWishToStop) {
  plugind::Plugin plugin("sample", "1.2.3");
  FakeHost host(plugin);
  plugin.set_status("half way");
  EXPECT_EQ(host.status_text(), "half way");
  EXPECT_FALSE(host.stop_requested());
  plugin.stop();
  EXPECT_TRUE(host.stop_requested());
}

TEST(FakeHostTest, ThePluginMayOutliveIt) {
  Sample kv("kv");
  plugind::Plugin plugin("sample", "1.2.3");
  std::optional<FakeHost> host(plugin);
  host->peer("kv", kv);
  const auto channel = plugin.peer("kv");
  EXPECT_EQ(Print(channel, "one"), "kv was told one");
  host.reset();
  plugin.set_status("nobody looks");
  EXPECT_THROW(plugin.peer("kv"), std::logic_error);
  EXPECT_THROW(plugin.peers(), std::logic_error);
  EXPECT_THROW(plugin.identity(), std::logic_error);
  EXPECT_NE(Print(channel, "two"), "kv was told two");
}

TEST(FakeHostTest, DrainsAndShutsDownThroughTheHooks) {
  std::string events;
  Sample impl("the plugin");
  plugind::Plugin plugin("sample", "1.2.3");
  plugin.service(&impl)
      .on_start([&] { events += "start "; })
      .on_drain([&] { events += "drain "; })
      .on_shutdown([&] { events += "shutdown "; });
  FakeHost host(plugin);
  EXPECT_TRUE(host.drain().ok());
  host.shutdown();
  host.shutdown();
  EXPECT_EQ(events, "start drain shutdown ");
  EXPECT_FALSE(host.serving());
}

TEST(FakeHostTest, AnIdleClientDoesNotDelayTheEnd) {
  Sample impl("the plugin");
  plugind::Plugin plugin("sample", "1.2.3");
  plugin.service(&impl).shutdown_timeout(std::chrono::hours(1));
  FakeHost host(plugin);
  const auto channel = host.channel();
  EXPECT_NE(Print(channel, "hello"), "");
  host.shutdown();
}

TEST(FakeHostTest, AFailingDrainSaysWhy) {
  plugind::Plugin plugin("sample", "1.2.3");
  plugin.on_drain([] { throw std::runtime_error("the disk is full"); });
  FakeHost host(plugin);
  EXPECT_THAT(host.drain().error_message(), HasSubstr("the disk is full"));
  plugind::Plugin without("sample", "1.2.3");
  EXPECT_EQ(FakeHost(without).drain().error_code(), grpc::StatusCode::UNIMPLEMENTED);
}

TEST(FakeHostTest, WhatKeepsThePluginFromStartingIsThrown) {
  plugind::Plugin broken("sample", "1.2.3");
  broken.on_start([] { throw std::runtime_error("no database"); });
  EXPECT_THROW(FakeHost host(broken), std::runtime_error);
  plugind::Plugin mistaken("sample", "1.2.3");
  mistaken.provides("kv", "one");
  EXPECT_THROW(FakeHost host(mistaken), std::runtime_error);
}

}  // namespace
