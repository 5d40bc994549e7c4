#include "daemon/rpc/contract_messages.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "plugind/plugin/v1/plugin.pb.h"

namespace plugind::rpc {
namespace {

namespace v1 = plugind::plugin::v1;
using supervisor::Capability;
using supervisor::Violation;

TEST(ContractMessagesTest, AnOfferIsSaidInFull) {
  const std::string bytes = NegotiateMessage(
      {"greeter", "7f3a91c2", 2, {1, 2}, {{"a", {"1.0", "2.3"}, false}, {"b", {}, true}}});
  v1::NegotiateRequest message;
  ASSERT_TRUE(message.ParseFromString(bytes));
  EXPECT_EQ(message.host(), "plugind");
  EXPECT_FALSE(message.host_version().empty());
  EXPECT_EQ(message.plugin(), "greeter");
  EXPECT_EQ(message.instance(), "7f3a91c2");
  EXPECT_EQ(message.protocol_version(), 2U);
  EXPECT_THAT(message.offered_protocol_versions(), testing::ElementsAre(1, 2));
  ASSERT_EQ(message.capabilities_size(), 2);
  EXPECT_THAT(message.capabilities(0).versions(), testing::ElementsAre("1.0", "2.3"));
  EXPECT_TRUE(message.capabilities(1).required());
}

TEST(ContractMessagesTest, AnAnswerIsReadInFull) {
  v1::NegotiateResponse message;
  message.set_name("greeter");
  message.set_version("1.2.0");
  message.add_services("a.B");
  message.set_config_schema("{}");
  message.mutable_sdk()->set_language("go");
  message.mutable_sdk()->set_version("0.1.0");
  v1::Capability* const capability = message.add_capabilities();
  capability->set_name("a");
  capability->add_versions("1.0");
  capability->set_required(true);
  const auto answer = ParseNegotiateAnswer(message.SerializeAsString());
  ASSERT_TRUE(answer.ok());
  EXPECT_EQ(answer->name, "greeter");
  EXPECT_EQ(answer->version, "1.2.0");
  EXPECT_THAT(answer->services, testing::ElementsAre("a.B"));
  EXPECT_EQ(answer->config_schema, "{}");
  EXPECT_EQ(answer->sdk_language + answer->sdk_version, "go0.1.0");
  EXPECT_THAT(answer->capabilities, testing::ElementsAre(Capability{"a", {"1.0"}, true}));
}

TEST(ContractMessagesTest, SettingsKeepTheirTypes) {
  const auto bytes =
      ConfigureMessage({R"({"b":true,"list":[1,"x"],"n":2.5,"t":{"deep":{}}})", {{"a", "1.0"}}, 7});
  ASSERT_TRUE(bytes.ok()) << bytes.status();
  v1::ConfigureRequest message;
  ASSERT_TRUE(message.ParseFromString(*bytes));
  const auto& fields = message.settings().fields();
  EXPECT_TRUE(fields.at("b").bool_value());
  EXPECT_EQ(fields.at("list").list_value().values(1).string_value(), "x");
  EXPECT_EQ(fields.at("n").number_value(), 2.5);
  EXPECT_TRUE(fields.at("t").struct_value().fields().contains("deep"));
  EXPECT_EQ(message.capabilities().at("a"), "1.0");
  EXPECT_EQ(message.generation(), 7U);
}

TEST(ContractMessagesTest, WhatIsNoTableIsNotHandedOver) {
  EXPECT_FALSE(ConfigureMessage({"[]", {}, 1}).ok());
  EXPECT_FALSE(ConfigureMessage({"{", {}, 1}).ok());
}

TEST(ContractMessagesTest, ViolationsAreRead) {
  v1::ConfigureResponse message;
  v1::Violation* const violation = message.add_violations();
  violation->set_field("limits.max");
  violation->set_reason("must be positive");
  const auto violations = ParseConfigureAnswer(message.SerializeAsString());
  ASSERT_TRUE(violations.ok());
  EXPECT_THAT(*violations, testing::ElementsAre(Violation{"limits.max", "must be positive"}));
  EXPECT_TRUE(ParseConfigureAnswer("")->empty());
}

TEST(ContractMessagesTest, BytesThatAreNoMessageAreAnError) {
  EXPECT_FALSE(ParseNegotiateAnswer("\xff").ok());
  EXPECT_FALSE(ParseConfigureAnswer("\x0a\x7f").ok());
}

TEST(ContractMessagesTest, ATimeoutIsSecondsAndNanoseconds) {
  v1::ShutdownRequest message;
  ASSERT_TRUE(message.ParseFromString(ShutdownMessage(std::chrono::milliseconds(1500))));
  EXPECT_EQ(message.timeout().seconds(), 1);
  EXPECT_EQ(message.timeout().nanos(), 500'000'000);
}

}  // namespace
}  // namespace plugind::rpc
