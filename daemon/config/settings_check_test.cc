// [config] against its schema, from the files on: places, sources of schemas, and when a stored one
// does not hold.
#include "daemon/config/settings_check.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <string>
#include <vector>

#include "daemon/config/schema_store.h"
#include "daemon/config/test_folder.h"

namespace plugind::config {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr char kSchema[] = R"({
  "type": "object",
  "required": ["name"],
  "additionalProperties": false,
  "properties": {
    "name": {"type": "string"},
    "limits": {"properties": {"max": {"type": "integer", "maximum": 10}},
               "additionalProperties": false, "required": ["max"]},
    "servers": {"items": {"properties": {"port": {"type": "integer"}}, "required": ["port"]}}
  }
})";

class SettingsCheckTest : public testing::Test {
 protected:
  SettingsCheckTest() {
    folder_.Write("plugind.toml", "");
    folder_.Write("bin/kv", "v1");
    folder_.Write("state/.keep", "");
  }

  void WritePlugin(const std::string& rest) const {
    folder_.Write("plugins.d/kv.toml", "command = [\"../bin/kv\"]\n" + rest);
  }
  std::string State() const { return folder_.Path("state"); }
  LoadResult LoadAll(const SchemaSources& schemas) const {
    return Load(folder_.Path("plugind.toml"), {}, schemas);
  }
  LoadResult LoadAll() const { return LoadAll({.named = true, .state_dir = State()}); }

  // Without the folder's path and the schema's.
  std::vector<std::string> Told(const std::vector<Problem>& problems) const {
    std::vector<std::string> all;
    for (const auto& problem : problems) {
      std::string text = problem.ToString();
      for (size_t at; (at = text.find(folder_.Path(""))) != std::string::npos;)
        text.erase(at, folder_.Path("").size());
      all.push_back(std::move(text));
    }
    return all;
  }
  std::vector<std::string> Problems() const { return Told(LoadAll().problems); }
  std::vector<std::string> Notes() const { return Told(LoadAll().notes); }

  PluginConfig Plugin() const { return LoadAll({}).config.plugins.at("kv"); }
  void Publish(const std::string& schema) const {
    std::string error;
    EXPECT_TRUE(SaveSchema(State(), Plugin(), schema, &error)) << error;
  }

  TestFolder folder_;
};

TEST_F(SettingsCheckTest, EveryMisfitHasItsPlaceInTheFile) {
  WritePlugin(R"(
[config]
nmae = "x"
limits.max = 11

[[config.servers]]
port = 1
[[config.servers]]
port = "http"
[[config.servers]]
)");
  Publish(kSchema);
  const std::string by = " (schema: state/schemas/kv.json)";
  EXPECT_THAT(
      Problems(),
      ElementsAre(
          "plugins.d/kv.toml:3:2: config.name: is missing" + by,
          "plugins.d/kv.toml:4:1: config.nmae: unknown key; did you mean \"name\"?" + by,
          "plugins.d/kv.toml:5:14: config.limits.max: must be at most 10, not 11" + by,
          "plugins.d/kv.toml:10:8: config.servers[1].port: must be an integer, not a string" + by,
          "plugins.d/kv.toml:11:1: config.servers[2].port: is missing" + by));
}

TEST_F(SettingsCheckTest, WhatIsMissingFromAnInnerTableIsToldThere) {
  WritePlugin("[config]\nname = \"x\"\n[config.limits]\n");
  Publish(kSchema);
  EXPECT_THAT(Problems(), ElementsAre(HasSubstr("kv.toml:4:1: config.limits.max: is missing")));
  WritePlugin("[config]\nname = \"x\"\nlimits = { mux = 1 }\n");
  EXPECT_THAT(Problems(),
              ElementsAre(HasSubstr("kv.toml:4:10: config.limits.max: is missing"),
                          HasSubstr("kv.toml:4:12: config.limits.mux: unknown key; did you")));
}

TEST_F(SettingsCheckTest, AnAbsentTableIsAnEmptyOne) {
  WritePlugin("");
  Publish(kSchema);
  EXPECT_THAT(Problems(), ElementsAre(HasSubstr("plugins.d/kv.toml: config.name: is missing")));
}

TEST_F(SettingsCheckTest, SettingsThatFitAreNoProblem) {
  WritePlugin("[config]\nname = \"x\"\nlimits.max = 10\nservers = [{ port = 1 }]\n");
  Publish(kSchema);
  EXPECT_THAT(Problems(), IsEmpty());
  EXPECT_THAT(Notes(), IsEmpty());
}

TEST_F(SettingsCheckTest, OtherErrorsOfTheFileDoNotHideMisfits) {
  WritePlugin("enabled = 1\n[config]\nname = 1\n");
  folder_.Write("kv.json", kSchema);
  WritePlugin("config_schema = \"../kv.json\"\nenabled = 1\n[config]\nname = 1\n");
  EXPECT_THAT(
      Problems(),
      ElementsAre("plugins.d/kv.toml:3:11: \"enabled\" must be true or false, not an integer",
                  "plugins.d/kv.toml:5:8: config.name: must be a string, not 1 (schema: "
                  "plugins.d/../kv.json)"));
}

TEST_F(SettingsCheckTest, APluginThatHasNeverRunIsNotChecked) {
  WritePlugin("[config]\nnmae = 1\n");
  EXPECT_THAT(Problems(), IsEmpty());
  EXPECT_THAT(Notes(), IsEmpty());
}

TEST_F(SettingsCheckTest, ASuccessorOfPlugindTakesWhatWasInForce) {
  folder_.Write("kv.json", "{");
  WritePlugin("config_schema = \"../kv.json\"\n[config]\nnmae = 1\n");
  EXPECT_TRUE(LoadAll({}).ok());
  EXPECT_FALSE(LoadAll({.named = true}).ok());
}

TEST_F(SettingsCheckTest, AReloadOfOnePluginChecksThatOneAlone) {
  WritePlugin("[config]\nnmae = 1\n");
  Publish(kSchema);
  EXPECT_TRUE(LoadAll({.named = true, .state_dir = State(), .only = "other"}).ok());
  EXPECT_FALSE(LoadAll({.named = true, .state_dir = State(), .only = "kv"}).ok());
}

// ── When a stored schema does not hold

TEST_F(SettingsCheckTest, TheSchemaOfAReplacedProgramDoesNotHold) {
  WritePlugin("[config]\nnew_key = 1\n");
  Publish(kSchema);
  EXPECT_THAT(Problems(), testing::Not(IsEmpty()));
  folder_.Write("bin/kv", "v2 of the program");
  EXPECT_THAT(Problems(), IsEmpty());
  EXPECT_THAT(Notes(),
              ElementsAre("plugins.d/kv.toml:2:2: [config] is not checked before the plugin "
                          "runs: the schema in state/schemas/kv.json does not hold: "
                          "plugins.d/../bin/kv has changed since"));
  // As soon as the new one has run, its own does.
  Publish(R"({"properties":{"new_key":{"type":"string"}}})");
  EXPECT_THAT(Problems(), ElementsAre(HasSubstr("config.new_key: must be a string, not 1")));
}

TEST_F(SettingsCheckTest, AProgramOfTheSameSizeInItsPlaceIsAnotherOne) {
  WritePlugin("[config]\nnew_key = 1\n");
  Publish(kSchema);
  folder_.Write("bin/kv.new", "v2");
  const auto before = folder_.Path("bin/kv");
  const auto after = folder_.Path("bin/kv.new");
  struct stat old {};
  ASSERT_EQ(::stat(before.c_str(), &old), 0);
  const timespec times[] = {old.st_atim, old.st_mtim};
  ASSERT_EQ(::utimensat(AT_FDCWD, after.c_str(), times, 0), 0);
  ASSERT_EQ(::rename(after.c_str(), before.c_str()), 0);
  EXPECT_THAT(Problems(), IsEmpty());
  EXPECT_THAT(Notes(), ElementsAre(HasSubstr("has changed since")));
}

TEST_F(SettingsCheckTest, AnInterpretersScriptCountsToo) {
  folder_.Write("kv.py", "v1");
  const auto command =
      fmt::format("command = [\"/bin/sh\", \"{}\"]\n[config]\nnmae = 1\n", folder_.Path("kv.py"));
  folder_.Write("plugins.d/kv.toml", command);
  Publish(kSchema);
  EXPECT_THAT(Problems(), testing::Not(IsEmpty()));
  folder_.Write("kv.py", "version 2");
  EXPECT_THAT(Problems(), IsEmpty());
  EXPECT_THAT(Notes(), ElementsAre(HasSubstr("kv.py has changed since")));
}

TEST_F(SettingsCheckTest, TheSchemaOfAnotherCommandDoesNotHold) {
  WritePlugin("[config]\nnmae = 1\n");
  Publish(kSchema);
  folder_.Write("plugins.d/kv.toml", "command = [\"../bin/kv\", \"-v\"]\n[config]\nnmae = 1\n");
  EXPECT_THAT(Problems(), IsEmpty());
  EXPECT_THAT(Notes(), ElementsAre(HasSubstr("its command is another one")));
}

TEST_F(SettingsCheckTest, ADamagedFileDoesNotHold) {
  WritePlugin("[config]\nnmae = 1\n");
  Publish(kSchema);
  for (const auto* damage : {"", "{", "[]", R"({"version":2,"schema":"{}"})", "\xff\xfe"}) {
    folder_.Write("state/schemas/kv.json", damage);
    EXPECT_THAT(Problems(), IsEmpty()) << damage;
    EXPECT_THAT(Notes(), ElementsAre(HasSubstr("the file is damaged"))) << damage;
  }
}

TEST_F(SettingsCheckTest, AStoredSchemaIsWrittenOnlyWhenItChanges) {
  WritePlugin("");
  Publish(kSchema);
  const auto file = State() + "/schemas/kv.json";
  struct stat first {};
  struct stat second {};
  struct stat third {};
  ASSERT_EQ(::stat(file.c_str(), &first), 0);
  EXPECT_EQ(first.st_mode & 0777, 0600U);
  Publish(kSchema);
  ASSERT_EQ(::stat(file.c_str(), &second), 0);
  EXPECT_EQ(first.st_ino, second.st_ino);
  Publish("{}");
  ASSERT_EQ(::stat(file.c_str(), &third), 0);
  EXPECT_NE(first.st_ino, third.st_ino);
  EXPECT_EQ(LoadSchema(State(), Plugin())->text, "{}");
}

TEST_F(SettingsCheckTest, APluginThatPublishesNoSchemaAnyMoreHasNone) {
  WritePlugin("[config]\nnmae = 1\n");
  Publish(kSchema);
  Publish("");
  EXPECT_FALSE(LoadSchema(State(), Plugin()));
  EXPECT_THAT(Problems(), IsEmpty());
  Publish("");  // and nothing to remove is no error
}

TEST_F(SettingsCheckTest, WhatCannotBeWrittenNamesTheFile) {
  WritePlugin("");
  folder_.Write("state/schemas", "a file");
  std::string error;
  EXPECT_FALSE(SaveSchema(State(), Plugin(), "{}", &error));
  EXPECT_THAT(error, HasSubstr("state/schemas/kv.json.new: Not a directory"));
}

// ── config_schema

TEST_F(SettingsCheckTest, ANamedSchemaIsUsedInsteadOfTheStoredOne) {
  WritePlugin("[config]\nnmae = 1\n");
  Publish(kSchema);
  folder_.Write("plugins.d/kv.schema.json", R"({"properties":{"nmae":{"type":"string"}}})");
  WritePlugin("config_schema = \"kv.schema.json\"\n[config]\nnmae = 1\n");
  EXPECT_THAT(Problems(),
              ElementsAre("plugins.d/kv.toml:4:8: config.nmae: must be a string, not 1 (schema: "
                          "plugins.d/kv.schema.json)"));
  folder_.Write("plugins.d/kv.schema.json", "{}");
  EXPECT_THAT(Problems(), IsEmpty());
}

TEST_F(SettingsCheckTest, ANamedSchemaThatCannotBeUsedIsAnError) {
  WritePlugin("config_schema = \"none.json\"\n");
  EXPECT_THAT(Problems(), ElementsAre("plugins.d/kv.toml:2:17: \"config_schema\": cannot read "
                                      "plugins.d/none.json: No such file or directory"));
  folder_.Write("plugins.d/none.json", "{\"type\":\n 3}");
  EXPECT_THAT(
      Problems(),
      ElementsAre("plugins.d/kv.toml:2:17: \"config_schema\": plugins.d/none.json at \"#\": "
                  "\"type\" must be a type's name or a list of them"));
  folder_.Write("plugins.d/none.json", std::string(kMaxSchemaBytes + 1, ' '));
  EXPECT_THAT(Problems(), ElementsAre(HasSubstr("none.json: File too large")));
  WritePlugin("config_schema = 3\n");
  EXPECT_THAT(Problems(), ElementsAre(HasSubstr("must be a string, not an integer")));
}

TEST_F(SettingsCheckTest, TheSchemaInForceIsTheNamedOneElseThePublishedOne) {
  WritePlugin("");
  std::string error;
  EXPECT_FALSE(SchemaInForce(Plugin(), "", &error));
  EXPECT_EQ(error, "");
  EXPECT_TRUE(SchemaInForce(Plugin(), "{}", &error));
  EXPECT_EQ(error, "");
  EXPECT_FALSE(SchemaInForce(Plugin(), "[]", &error));
  EXPECT_EQ(error, "its config_schema must be an object");
  WritePlugin("config_schema = \"kv.json\"\n");
  folder_.Write("plugins.d/kv.json", R"({"required":["a"]})");
  error.clear();
  const auto named = SchemaInForce(Plugin(), "[]", &error);
  ASSERT_TRUE(named) << error;
  EXPECT_THAT(named->Check("{}"), testing::SizeIs(1));
}

// ── Limits

TEST_F(SettingsCheckTest, IntegersThatADoubleWouldRoundAreRefused) {
  WritePlugin(
      "[config]\nok = [9007199254740992, -9007199254740992]\nbad = [\n  9007199254740993]\n"
      "[config.t]\nbad = -9007199254740993\n");
  EXPECT_THAT(Problems(), ElementsAre(HasSubstr("kv.toml:5:3: 9007199254740993 is beyond 2^53"),
                                      HasSubstr("kv.toml:7:7: -9007199254740993 is beyond 2^53")));
}

TEST_F(SettingsCheckTest, AThirtyThirdLevelIsRefusedWhereItBegins) {
  const auto nested = [](size_t levels) {
    return "[config]\na = " + std::string(levels, '[') + std::string(levels, ']') + "\n";
  };
  WritePlugin(nested(31));
  EXPECT_THAT(Problems(), IsEmpty());
  WritePlugin(nested(32));
  EXPECT_THAT(Problems(),
              ElementsAre("plugins.d/kv.toml:3:36: [config] is nested deeper than 32 levels"));
}

TEST_F(SettingsCheckTest, ATableOfMoreThanAMebibyteAsJsonIsRefused) {
  std::string floats = "[config]\na = [9e9";
  for (int i = 0; i < 100'000; ++i) floats += ",9e9";
  WritePlugin(floats + "]\n");
  EXPECT_THAT(Problems(),
              ElementsAre("plugins.d/kv.toml:2:2: [config] has 1300020 bytes as JSON, at most "
                          "1048576 are handed over"));
}

}  // namespace
}  // namespace plugind::config
