#include "daemon/pluginctl/conformance/description.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace plugind::pluginctl::conformance {
namespace {

using google::protobuf::Struct;
using plugin::v1::NegotiateResponse;
using ::testing::HasSubstr;

plugin::v1::Capability* Add(NegotiateResponse* response, const std::string& name,
                            const std::vector<std::string>& versions) {
  plugin::v1::Capability* capability = response->add_capabilities();
  capability->set_name(name);
  for (const std::string& version : versions) capability->add_versions(version);
  return capability;
}

TEST(DescriptionTest, InfoNeedsWhatEveryPluginHas) {
  EXPECT_EQ(WrongDescription(R"({"name":"a","version":"1","services":[],"protocolVersions":[1]})"),
            "");
  EXPECT_THAT(WrongDescription("a"), HasSubstr("not JSON"));
  EXPECT_THAT(WrongDescription("[]"), HasSubstr("not an object"));
  EXPECT_THAT(WrongDescription(R"({"name":"a"})"), HasSubstr("\"version\""));
  EXPECT_THAT(
      WrongDescription(R"({"name":"a","version":"1","services":[1],"protocolVersions":[1]})"),
      HasSubstr("\"services\""));
  EXPECT_THAT(
      WrongDescription(R"({"name":"a","version":"1","services":[],"protocolVersions":["1"]})"),
      HasSubstr("\"protocolVersions\""));
}

TEST(DescriptionTest, NamesAreHeldToTheirSyntax) {
  NegotiateResponse good;
  Add(&good, "greeter.v1", {"1.4", "2.0"});
  good.add_services("greeter.v1.Greeter");
  EXPECT_EQ(WrongNames(good), "");

  NegotiateResponse name = good;
  Add(&name, "a b", {"1.0"});
  EXPECT_THAT(WrongNames(name), HasSubstr("\"a b\""));
  NegotiateResponse none = good;
  Add(&none, "a", {})->set_required(true);
  EXPECT_THAT(WrongNames(none), HasSubstr("no version"));
  NegotiateResponse version = good;
  Add(&version, "a", {"1"});
  EXPECT_THAT(WrongNames(version), HasSubstr("MAJOR.MINOR"));
  NegotiateResponse major = good;
  Add(&major, "a", {"1.0", "1.2"});
  EXPECT_THAT(WrongNames(major), HasSubstr("major 1 twice"));
  NegotiateResponse twice = good;
  Add(&twice, "greeter.v1", {"1.0"});
  EXPECT_THAT(WrongNames(twice), HasSubstr("twice"));
  NegotiateResponse service = good;
  service.add_services("a/b");
  EXPECT_THAT(WrongNames(service), HasSubstr("\"a/b\""));
}

TEST(DescriptionTest, BoundsAreThoseOfTheContract) {
  NegotiateResponse response;
  response.set_name(std::string(128, 'a'));
  for (int i = 0; i < 256; ++i) Add(&response, "c" + std::to_string(i), {"1.0"});
  EXPECT_EQ(BeyondBounds(response), "");
  Add(&response, "more", {"1.0"});
  EXPECT_THAT(BeyondBounds(response), HasSubstr("257 capabilities"));
  response.clear_capabilities();
  response.set_version(std::string(129, 'a'));
  EXPECT_THAT(BeyondBounds(response), HasSubstr("version has 129 bytes"));
  response.clear_version();
  for (int i = 0; i < 1000; ++i) response.add_services(std::string(40, 's'));
  EXPECT_THAT(BeyondBounds(response), HasSubstr("40000 bytes"));
}

TEST(DescriptionTest, ASchemaDescribesAnObject) {
  EXPECT_EQ(WrongSchema(R"({"type":"object"})"), "");
  EXPECT_EQ(WrongSchema("{}"), "");
  EXPECT_THAT(WrongSchema("{'a'"), HasSubstr("not JSON"));
  EXPECT_THAT(WrongSchema("[]"), HasSubstr("not an object"));
  EXPECT_THAT(WrongSchema(R"({"type":"string"})"), HasSubstr("its type is string"));
}

TEST(DescriptionTest, ASchemaIsBrokenWhereItIsPlainHow) {
  Struct allowed;
  (*allowed.mutable_fields())["kept"].set_bool_value(true);
  const auto typed = Violate(R"({"properties":{"a":{"type":["string","null"]}}})", allowed);
  ASSERT_TRUE(typed.has_value());
  EXPECT_EQ(typed->fields().at("a").number_value(), -1);
  EXPECT_TRUE(typed->fields().contains("kept"));
  const auto closed = Violate(R"({"additionalProperties":false})", allowed);
  ASSERT_TRUE(closed.has_value());
  EXPECT_EQ(closed->fields().size(), 2U);
  const auto required = Violate(R"({"required":["kept"]})", allowed);
  ASSERT_TRUE(required.has_value());
  EXPECT_TRUE(required->fields().empty());
  EXPECT_FALSE(Violate("{}", allowed).has_value());
  EXPECT_FALSE(Violate("", allowed).has_value());
  EXPECT_FALSE(Violate(R"({"properties":7,"required":{}})", allowed).has_value());
}

}  // namespace
}  // namespace plugind::pluginctl::conformance
