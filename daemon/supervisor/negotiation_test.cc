#include "daemon/supervisor/negotiation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "daemon/supervisor/reason.h"

namespace plugind::supervisor {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::Pair;
using testing::UnorderedElementsAre;

HostOffer Offer(std::vector<Capability> capabilities) {
  return {"greeter", "7f3a91c2", 1, {1}, std::move(capabilities)};
}
PluginAnswer Answer(std::vector<Capability> capabilities) {
  PluginAnswer answer;
  answer.name = "greeter";
  answer.version = "1.2.0";
  answer.capabilities = std::move(capabilities);
  return answer;
}
std::string AgreedVersion(std::vector<std::string> ours, std::vector<std::string> theirs) {
  const auto agreement =
      Agree(Offer({{"x", std::move(ours), false}}), Answer({{"x", std::move(theirs), false}}));
  if (!agreement.ok()) return std::string(agreement.status().message());
  return agreement->Has("x") ? agreement->capabilities.at("x") : "none";
}

TEST(NegotiationTest, TheHighestCommonMajorCountsWithTheLowerMinor) {
  EXPECT_EQ(AgreedVersion({"1.0"}, {"1.0"}), "1.0");
  EXPECT_EQ(AgreedVersion({"1.4"}, {"1.2"}), "1.2");
  EXPECT_EQ(AgreedVersion({"1.4", "2.1"}, {"1.9", "2.0"}), "2.0");
  EXPECT_EQ(AgreedVersion({"1.4", "2.1"}, {"3.0", "1.9"}), "1.4");
  EXPECT_EQ(AgreedVersion({"1.4", "1.6"}, {"1.5", "1.1"}), "1.5");
  EXPECT_EQ(AgreedVersion({"1.0"}, {"2.0"}), "none");
  EXPECT_EQ(AgreedVersion({"4294967295.0"}, {"4294967295.7"}), "4294967295.0");
}

TEST(NegotiationTest, AHostThatDoesNotMindTheVersionGetsThePluginsHighest) {
  EXPECT_EQ(AgreedVersion({}, {"1.4", "3.2", "2.9"}), "3.2");
}

TEST(NegotiationTest, WhatOnlyOneSideHasIsIgnored) {
  const auto agreement = Agree(Offer({{"a", {"1.0"}, false}, {"b", {"1.0"}, false}}),
                               Answer({{"b", {"1.0"}, true}, {"c", {"1.0"}, false}}));
  ASSERT_TRUE(agreement.ok()) << agreement.status();
  EXPECT_THAT(agreement->capabilities, UnorderedElementsAre(Pair("b", "1.0")));
}

TEST(NegotiationTest, WhatTheHostRequiresAndThePluginLacksIsNamedWithBothLists) {
  const auto agreement =
      Agree(Offer({{"a", {}, true}, {"b", {"2.1"}, false}}), Answer({{"b", {"1.0"}, false}}));
  EXPECT_EQ(agreement.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(ReasonOf(agreement.status()), "CAPABILITY_MISSING");
  EXPECT_EQ(
      agreement.status().message(),
      "no agreement on a (required by the host); the host has a (any version) (required), b 2.1; "
      "the plugin has b 1.0");
}

TEST(NegotiationTest, WhatThePluginRequiresAndTheHostLacksIsNamedToo) {
  const auto unknown = Agree(Offer({}), Answer({{"gpu", {"1.0"}, true}}));
  EXPECT_EQ(
      unknown.status().message(),
      "no agreement on gpu (required by the plugin); the host has none; the plugin has gpu 1.0 "
      "(required)");
  const auto older = Agree(Offer({{"gpu", {"1.9"}, false}}), Answer({{"gpu", {"2.0"}, true}}));
  EXPECT_EQ(older.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(older.status().message()), HasSubstr("the host has gpu 1.9"));
}

TEST(NegotiationTest, AListThatIsMissedIsShortened) {
  std::vector<Capability> many;
  for (int i = 0; i < 200; ++i) many.push_back({"cap" + std::to_string(i), {"1.0"}, false});
  const auto agreement = Agree(Offer({{"a", {}, true}}), Answer(std::move(many)));
  EXPECT_THAT(std::string(agreement.status().message()), HasSubstr("and 184 more"));
}

TEST(NegotiationTest, AFloorPluginLacksWhateverIsRequired) {
  EXPECT_TRUE(AgreeOnNothing(Offer({{"a", {"1.0"}, false}})).ok());
  const absl::Status status = AgreeOnNothing(Offer({{"a", {}, true}}));
  EXPECT_EQ(ReasonOf(status), "CAPABILITY_MISSING");
  EXPECT_THAT(std::string(status.message()), HasSubstr("does not serve plugind.plugin.v1.Plugin"));
}

TEST(NegotiationTest, AnAnswerThatBreaksTheContractIsRefusedByName) {
  const auto refused = [](const PluginAnswer& answer) {
    const auto agreement = Agree(Offer({}), answer);
    EXPECT_EQ(agreement.status().code(), absl::StatusCode::kInvalidArgument);
    return std::string(agreement.status().message());
  };
  EXPECT_THAT(refused(Answer({{"-x", {"1.0"}, false}})), HasSubstr("\"-x\" is no capability"));
  EXPECT_THAT(refused(Answer({{"x", {"1"}, false}})), HasSubstr("\"1\", not MAJOR.MINOR"));
  EXPECT_THAT(refused(Answer({{"x", {"1.4294967296"}, false}})), HasSubstr("not MAJOR.MINOR"));
  EXPECT_THAT(refused(Answer({{"x", {}, false}})), HasSubstr("has 0 versions"));
  EXPECT_THAT(refused(Answer({{"x", std::vector<std::string>(17, "1.0"), false}})),
              HasSubstr("has 17 versions"));
  EXPECT_THAT(refused(Answer({{"x", {"1.0"}, false}, {"x", {"2.0"}, false}})),
              HasSubstr("there twice"));
  EXPECT_THAT(refused(Answer(std::vector<Capability>(257, {"x", {"1.0"}, false}))),
              HasSubstr("257 capabilities"));
  PluginAnswer answer;
  answer.services = {"a.B", "a/B"};
  EXPECT_THAT(refused(answer), HasSubstr("\"a/B\" is no service's full name"));
  answer.services = {"a\tb\x1b"};
  EXPECT_THAT(refused(answer), HasSubstr("\"a b\\x1b\" is no service's full name"));
  answer.services.assign(1025, "a.B");
  EXPECT_THAT(refused(answer), HasSubstr("1025 services"));
  answer.services.assign(1000, std::string(200, 'a'));
  EXPECT_THAT(refused(answer), HasSubstr("200000 bytes"));
  answer.services.clear();
  answer.config_schema.assign(kMaxConfigSchema + 1, ' ');
  EXPECT_THAT(refused(answer), HasSubstr("a config_schema of 262145 bytes"));
}

TEST(NegotiationTest, TextsForOperatorsAreShortAndHarmless) {
  PluginAnswer answer = Answer({});
  answer.version = "1.0\x1b[2J" + std::string(500, 'v');
  answer.sdk_language = "go";
  answer.sdk_version = "0.1.0";
  const auto agreement = Agree(Offer({}), answer);
  ASSERT_TRUE(agreement.ok()) << agreement.status();
  EXPECT_LT(agreement->version.size(), 140U);
  EXPECT_EQ(agreement->version.find('\x1b'), std::string::npos);
  EXPECT_EQ(agreement->sdk, "go 0.1.0");
}

TEST(NegotiationTest, ServicesAreSortedAndNamedOnce) {
  PluginAnswer answer = Answer({});
  answer.services = {"b.B", "a.A", "b.B"};
  const auto agreement = Agree(Offer({}), answer);
  ASSERT_TRUE(agreement.ok()) << agreement.status();
  EXPECT_THAT(agreement->services, testing::ElementsAre("a.A", "b.B"));
}

TEST(NegotiationTest, TheConfigurationsOffersAndRequirementsJoinTheHostsOwn) {
  config::PluginConfig config;
  config.name = "greeter";
  config.protocol_versions = {1, 2};
  config.capabilities.offer = {{"emoji", "1.3"}};
  config.capabilities.require = {"emoji", "greeter.v1"};
  Handshake handshake;
  handshake.protocol_version = 2;
  const HostOffer offer = OfferTo(config, "7f3a91c2", handshake);
  EXPECT_EQ(offer.protocol_version, 2U);
  EXPECT_THAT(offer.offered_protocol_versions, testing::ElementsAre(1, 2));
  EXPECT_THAT(offer.capabilities,
              UnorderedElementsAre(
                  Capability{"config.reload", {"1.0"}, false}, Capability{"drain", {"1.0"}, false},
                  Capability{"peer.calls", {"1.0"}, false},
                  Capability{"log.structured", {"1.0"}, false}, Capability{"trace", {"1.0"}, false},
                  Capability{"emoji", {"1.3"}, true}, Capability{"greeter.v1", {}, true}));
}

}  // namespace
}  // namespace plugind::supervisor
