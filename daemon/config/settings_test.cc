#include "daemon/config/settings.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "daemon/config/load.h"
#include "daemon/config/test_folder.h"

namespace plugind::config {
namespace {

using ::testing::Contains;
using ::testing::IsEmpty;

constexpr auto kPlugin = R"(
command = ["./kv", "a \"b\" \u001b"]
env = { LANG = "C.UTF-8", "a-b" = "", "dotted.name" = "x" }
protocol_versions = [3, 1]
network = ["unix", "tcp"]
auto_mtls = true
after = []
[health]
interval = "90s"
[limits]
core = "unlimited"
[capabilities]
offer = { "greeter.emoji" = "1.0" }
[config]
"a key" = { deep = [1, 2.0, 1979-05-27T07:32:00Z], "q.r" = {} }
nested.x = true
)";

TEST(SettingsTest, KnowsWhereEachSettingComesFrom) {
  const TestFolder folder;
  folder.Write("plugind.toml", "[gateway]\nthreads = 2\n");
  folder.Write("plugins.d/kv.toml", R"(command = ["./kv"]
[health]
interval = "90s"
)");
  const auto result = Load(folder.Path("plugind.toml"), {});
  ASSERT_THAT(result.problems, IsEmpty());
  const auto daemon_file = folder.Path("plugind.toml");
  const auto file = folder.Path("plugins.d/kv.toml");
  const auto command = fmt::format("[\"{}\"]", folder.Path("plugins.d/kv"));
  EXPECT_THAT(result.settings, Contains(Setting{"", "gateway.threads", "2", daemon_file, 2}));
  EXPECT_THAT(result.settings, Contains(Setting{"", "daemon.log_level", "\"info\"", "", 0}));
  EXPECT_THAT(result.settings, Contains(Setting{"kv", "name", "\"kv\"", "", 0}));
  EXPECT_THAT(result.settings, Contains(Setting{"kv", "command", command, file, 1}));
  EXPECT_THAT(result.settings, Contains(Setting{"kv", "health.interval", "\"1m30s\"", file, 3}));
  EXPECT_THAT(result.settings, Contains(Setting{"kv", "health.timeout", "\"2s\"", "", 0}));
}

TEST(SettingsTest, PrintsAFileThatLoadsToTheSame) {
  const TestFolder folder;
  folder.Write("plugind.toml", "[daemon]\nlog_level = \"warn\"\n[control]\nadmins = [\"uid:7\"]\n");
  folder.Write("plugins.d/kv.toml", kPlugin);
  const auto original = Load(folder.Path("plugind.toml"), {});
  ASSERT_THAT(original.problems, IsEmpty());

  for (const auto show : {ShowOrigin::kNo, ShowOrigin::kYes}) {
    folder.Write("plugind.toml", ToToml(original.settings, "", show));
    folder.Write("plugins.d/kv.toml", ToToml(original.settings, "kv", show));
    const auto copy = Load(folder.Path("plugind.toml"), {});
    ASSERT_THAT(copy.problems, IsEmpty());
    EXPECT_EQ(copy.config.daemon, original.config.daemon);
    EXPECT_EQ(copy.config.plugins, original.config.plugins);
  }
}

TEST(SettingsTest, PrintsKeysBeforeTables) {
  const std::vector<Setting> settings = {
      {"kv", "health.interval", "\"5s\"", "/etc/kv.toml", 7},
      {"other", "enabled", "false", "", 0},
      {"kv", "enabled", "true", "", 0},
      {"kv", "env.\"a b\"", "\"\"", "/etc/k\nv.toml", 2},
  };
  EXPECT_EQ(ToToml(settings, "kv", ShowOrigin::kNo),
            "enabled = true\n\n[health]\ninterval = \"5s\"\n\n[env]\n\"a b\" = \"\"\n");
  EXPECT_EQ(ToToml(settings, "kv", ShowOrigin::kYes),
            "enabled = true  # default\n\n[health]\ninterval = \"5s\"  # /etc/kv.toml:7\n\n"
            "[env]\n\"a b\" = \"\"  # /etc/k?v.toml:2\n");
}

}  // namespace
}  // namespace plugind::config
