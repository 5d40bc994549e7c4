#include "plugind/settings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace plugind {
namespace {

using testing::ElementsAre;

constexpr char kSettings[] = R"({
  "greeting": "Hello", "on": true, "port": 8080, "rate": 0.5, "nothing": null, "big": 300,
  "limits": {"most": 7}, "servers": [{"port": 1}, {"port": 2, "names": ["a", "b"]}]
})";

std::string Complaint(const std::function<void()>& look) {
  try {
    look();
  } catch (const BadSetting& bad) {
    return bad.what();
  }
  return "";
}

TEST(SettingsTest, FindsWhatIsThereByItsPath) {
  const Settings settings = Settings::from_json(kSettings);
  EXPECT_EQ(settings.get("greeting", "Bye"), "Hello");
  EXPECT_TRUE(settings.get("on", false));
  EXPECT_EQ(settings.get("port", 1), 8080);
  EXPECT_EQ(settings.get("port", uint16_t{1}), 8080);
  EXPECT_EQ(settings.get("port", uint64_t{1}), 8080U);
  EXPECT_DOUBLE_EQ(settings.get("rate", 1.0), 0.5);
  EXPECT_EQ(settings.get("limits.most", 1), 7);
  EXPECT_EQ(settings.get("servers[1].port", 0), 2);
  EXPECT_THAT(settings.strings("servers[1].names"), ElementsAre("a", "b"));
  EXPECT_EQ(settings.size("servers"), 2U);
  EXPECT_TRUE(settings.has("limits"));
}

TEST(SettingsTest, WhatIsAbsentIsTheFallback) {
  const Settings settings = Settings::from_json(kSettings);
  for (const char* path : {"no", "limits.no", "limits.most.more", "servers[2].port", "servers[-1]",
                           "servers[x]", "servers[0", "greeting[0]", "nothing", "greeting.size"}) {
    EXPECT_EQ(settings.get(path, 5), 5) << path;
    EXPECT_FALSE(settings.has(path)) << path;
  }
  EXPECT_EQ(settings.size("no"), 0U);
  EXPECT_EQ(settings.table("no").json(), "{}");
  EXPECT_EQ(Settings().json(), "{}");
}

TEST(SettingsTest, AWrongTypeNamesThePathAndBothTypes) {
  const Settings settings = Settings::from_json(kSettings);
  EXPECT_EQ(Complaint([&] { settings.get("greeting", 1); }),
            "greeting: must be a number, not a string");
  EXPECT_EQ(Complaint([&] { settings.get("limits", ""); }),
            "limits: must be a string, not a table");
  EXPECT_EQ(Complaint([&] { settings.get("servers", false); }),
            "servers: must be true or false, not an array");
  EXPECT_EQ(Complaint([&] { settings.size("on"); }), "on: must be an array, not true or false");
  EXPECT_EQ(Complaint([&] { settings.table("port"); }), "port: must be a table, not a number");
  EXPECT_EQ(Complaint([&] { settings.strings("servers"); }),
            "servers[0]: must be a string, not a table");
}

TEST(SettingsTest, ANumberThatDoesNotFitIsRefused) {
  const Settings settings = Settings::from_json(kSettings);
  EXPECT_EQ(Complaint([&] { settings.get("rate", 1); }), "rate: must be a whole number");
  EXPECT_EQ(Complaint([&] { settings.get("big", uint8_t{1}); }), "big: must be from 0 to 255");
  EXPECT_EQ(Settings::from_json(R"({"low": -129})").get("low", -1), -129);
  EXPECT_EQ(Complaint([&] { Settings::from_json(R"({"low": -129})").get("low", int8_t{1}); }),
            "low: must be from -128 to 127");
  EXPECT_NE(Complaint([&] { Settings::from_json(R"({"n": 1e300})").get("n", int64_t{1}); }), "");
}

TEST(SettingsTest, WhatIsRequiredAndMissingIsNamed) {
  const Settings settings = Settings::from_json(kSettings);
  EXPECT_EQ(settings.require<int>("limits.most"), 7);
  EXPECT_EQ(Complaint([&] { settings.require<bool>("limits.no"); }), "limits.no: is missing");
}

TEST(SettingsTest, APartKnowsWhereItIs) {
  Settings part;
  {
    const Settings settings = Settings::from_json(kSettings);
    part = settings.table("servers[1]");
  }
  EXPECT_THAT(part.names(), ElementsAre("names", "port"));
  EXPECT_EQ(part.get("port", 0), 2);
  EXPECT_EQ(part.json(), R"({"names":["a","b"],"port":2})");
  EXPECT_EQ(Complaint([&] { part.get("names[0]", 1); }),
            "servers[1].names[0]: must be a number, not a string");
}

TEST(SettingsTest, ItsJsonIsSortedAndKeepsWholeNumbersWhole) {
  EXPECT_EQ(Settings::from_json(
                R"({"z": 1, "a": {"y": -2, "b": 0.5, "c": [true, null, "é"]}, "m": 1e300})")
                .json(),
            R"({"a":{"b":0.5,"c":[true,null,"é"],"y":-2},"m":1e+300,"z":1})");
}

TEST(SettingsTest, OnlyAnObjectIsATable) {
  EXPECT_THROW(Settings::from_json("[]"), std::invalid_argument);
  EXPECT_THROW(Settings::from_json("{"), std::invalid_argument);
  EXPECT_EQ(Settings::from_json("{}").names().size(), 0U);
}

}  // namespace
}  // namespace plugind
