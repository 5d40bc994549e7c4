#include <fstream>
#include <nlohmann/json.hpp>

#include "daemon/pluginctl/testing/daemon_test.h"

namespace plugind::pluginctl::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

class ConfigTest : public DaemonTest {
 protected:
  ConfigTest() {
    std::filesystem::create_directory(folder_ + "/plugins.d");
    Write("plugind.toml", "[daemon]\nlog_level = \"debug\"\n");
    Write("plugins.d/kv.toml", "command = [\"/bin/true\"]\n");
    Write("plugins.d/web.toml", "command = [\"/bin/true\"]\nafter = [\"kv\"]\n");
  }
  void Write(const std::string& name, const std::string& text) {
    std::ofstream(folder_ + "/" + name) << text;
  }

  const std::string file_ = folder_ + "/plugind.toml";
};

TEST_F(ConfigTest, CheckOfAGoodConfigurationIsDone) {
  const Result result = Pluginctl({"config", "check", "--config", file_});
  EXPECT_EQ(result.code, 0);
  EXPECT_EQ(result.out, "");
  EXPECT_EQ(result.err, file_ + ": no problems, 2 plugins\n");
}

TEST_F(ConfigTest, CheckListsEveryErrorWithItsPlace) {
  Write("plugins.d/kv.toml", "comand = [\"/bin/true\"]\nenabled = 3\n");
  const Result result = Pluginctl({"config", "check", "--config", file_});
  EXPECT_EQ(result.code, 1);
  EXPECT_THAT(result.out, HasSubstr(folder_ + "/plugins.d/kv.toml:1:1: "));
  EXPECT_THAT(result.out, HasSubstr(folder_ + "/plugins.d/kv.toml:2:"));
  const Result json = Pluginctl({"config", "check", "--config", file_, "-o", "json"});
  EXPECT_EQ(json.code, 1);
  EXPECT_EQ(nlohmann::json::parse(json.out).at("ok"), false);
}

TEST_F(ConfigTest, CheckOfAFileThatWasNamedAndIsMissingFails) {
  EXPECT_EQ(Pluginctl({"config", "check", "--config", folder_ + "/none.toml"}).code, 1);
}

TEST_F(ConfigTest, ShowPrintsEverySettingAndWhereItComesFrom) {
  const Result plain = Pluginctl({"config", "show", "--config", file_});
  EXPECT_EQ(plain.code, 0);
  EXPECT_THAT(plain.out, StartsWith("# " + file_ + "\n[daemon]\nlog_level = \"debug\"\n"));
  EXPECT_THAT(plain.out, HasSubstr("after = [\"kv\"]\n"));
  const Result origin = Pluginctl({"config", "show", "--config", file_, "--origin"});
  EXPECT_THAT(origin.out, HasSubstr("log_level = \"debug\"  # " + file_ + ":2\n"));
  EXPECT_THAT(origin.out, HasSubstr("  # default\n"));
}

TEST_F(ConfigTest, ShowOfOnePluginIsAFileThatLoads) {
  const Result result = Pluginctl({"config", "show", "web", "--config", file_});
  EXPECT_EQ(result.code, 0);
  EXPECT_THAT(result.out, HasSubstr("after = [\"kv\"]\n"));
  EXPECT_THAT(result.out, Not(HasSubstr("log_level")));
  Write("plugins.d/web.toml", result.out);
  EXPECT_EQ(Pluginctl({"config", "check", "--config", file_}).code, 0);
  EXPECT_EQ(Pluginctl({"config", "show", "wep", "--config", file_}).code, 4);
}

TEST_F(ConfigTest, ShowAsJsonHasEverySetting) {
  const Result result = Pluginctl({"config", "show", "kv", "--config", file_, "-o", "json"});
  EXPECT_EQ(result.code, 0);
  bool seen = false;
  const auto document = nlohmann::json::parse(result.out);
  for (const auto& each : document.at("settings")) {
    EXPECT_EQ(each.at("plugin"), "kv");
    if (each.at("key") != "command") continue;
    seen = true;
    EXPECT_EQ(each.at("line"), 1);
    EXPECT_EQ(each.at("file"), folder_ + "/plugins.d/kv.toml");
  }
  EXPECT_TRUE(seen);
}

}  // namespace
}  // namespace plugind::pluginctl::testing
