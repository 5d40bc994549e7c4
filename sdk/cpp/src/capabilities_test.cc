#include "sdk/cpp/src/capabilities.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sdk/cpp/src/failure.h"

namespace plugind::sdk {
namespace {

using testing::ElementsAre;

TEST(CapabilitiesTest, KeepsTheHighestMinorOfEachMajorInOrder) {
  Capabilities capabilities;
  for (const char* version : {"10.0", "2.1", "1.4", "1.9", "1.10", "1.2"}) {
    capabilities.Add("kv", version, false);
  }
  ASSERT_EQ(capabilities.All().size(), 1U);
  EXPECT_THAT(capabilities.All()[0].versions, ElementsAre("1.10", "2.1", "10.0"));
}

TEST(CapabilitiesTest, WhatIsProvidedAndRequiredIsBoth) {
  Capabilities capabilities;
  capabilities.Add("b", "1.0", false);
  capabilities.Add("b", "2.0", true);
  capabilities.Add("a", "1.0", false);
  const auto all = capabilities.All();
  ASSERT_EQ(all.size(), 2U);
  EXPECT_EQ(all[0].name, "a");
  EXPECT_FALSE(all[0].required);
  EXPECT_TRUE(all[1].required);
  EXPECT_THAT(all[1].versions, ElementsAre("1.0", "2.0"));
}

TEST(CapabilitiesTest, RefusesWhatNoHostWouldUnderstand) {
  Capabilities capabilities;
  for (const char* version :
       {"", "1", "1.", ".1", "1.x", "-1.0", "1.0.0", "99999999999.0", " 1.0"}) {
    EXPECT_THROW(capabilities.Add("kv", version, false), Failure) << version;
  }
  EXPECT_THROW(capabilities.Add("", "1.0", false), Failure);
  EXPECT_THROW(capabilities.Add("a/b", "1.0", false), Failure);
  EXPECT_THROW(capabilities.Add(std::string(129, 'a'), "1.0", false), Failure);
  EXPECT_NO_THROW(capabilities.Add(std::string(128, 'a'), "1.0", false));
  EXPECT_EQ(capabilities.All().size(), 1U);
}

TEST(CapabilitiesTest, StaysWithinTheLimitsOfTheContract) {
  Capabilities capabilities;
  for (int i = 0; i < 16; ++i) capabilities.Add("kv", std::to_string(i) + ".0", false);
  EXPECT_THROW(capabilities.Add("kv", "16.0", false), Failure);
  Capabilities many;
  for (int i = 0; i < 256; ++i) many.Add("c" + std::to_string(i), "1.0", false);
  EXPECT_THROW(many.Add("one.more", "1.0", false), Failure);
}

}  // namespace
}  // namespace plugind::sdk
