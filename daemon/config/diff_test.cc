#include "daemon/config/diff.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <functional>
#include <map>
#include <string>
#include <tuple>
#include <vector>

namespace plugind::config {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

// A change of each field on its own, and what a reload must make of it.
struct Change {
  std::string field;
  bool restarts;
  std::function<void(PluginConfig&)> apply;
};

void PrintTo(const Change& change, std::ostream* out) { *out << change.field; }

const std::vector<Change>& Changes() {
  static const std::vector<Change> kChanges = {
      {"name", true, [](PluginConfig& c) { c.name += "x"; }},
      {"file", false, [](PluginConfig& c) { c.file = "/elsewhere.toml"; }},
      {"command", true, [](PluginConfig& c) { c.command.emplace_back("-v"); }},
      {"enabled", false, [](PluginConfig& c) { c.enabled = !c.enabled; }},
      {"env", true, [](PluginConfig& c) { c.env["NEW"] = "1"; }},
      {"working_directory", true, [](PluginConfig& c) { c.working_directory = "/tmp"; }},
      {"user", false, [](PluginConfig& c) { c.user = "another name of the same uid"; }},
      {"group", false, [](PluginConfig& c) { c.group = "another name of the same gid"; }},
      {"identity", true,
       [](PluginConfig& c) {
         c.identity = Identity{7, 7, {7}};
       }},
      {"magic_cookie", true, [](PluginConfig& c) { c.magic_cookie.value = "2"; }},
      {"protocol_versions", true, [](PluginConfig& c) { c.protocol_versions.push_back(9); }},
      {"allow_tcp", true, [](PluginConfig& c) { c.allow_tcp = !c.allow_tcp; }},
      {"auto_mtls", true, [](PluginConfig& c) { c.auto_mtls = !c.auto_mtls; }},
      {"start_timeout", false, [](PluginConfig& c) { c.start_timeout += seconds(1); }},
      {"restart", false, [](PluginConfig& c) { c.restart = Restart::kNever; }},
      {"after", false, [](PluginConfig& c) { c.after.emplace_back("kv"); }},
      {"backoff", false, [](PluginConfig& c) { c.backoff.max += seconds(1); }},
      {"quarantine", false, [](PluginConfig& c) { c.quarantine.failures += 1; }},
      {"health", false, [](PluginConfig& c) { c.health.interval += seconds(1); }},
      {"stop", false, [](PluginConfig& c) { c.stop.grace += seconds(1); }},
      {"limits", true, [](PluginConfig& c) { c.limits.nofile += 1; }},
      {"call", false, [](PluginConfig& c) { c.call.max_in_flight += 1; }},
      {"access", false, [](PluginConfig& c) { c.access.callers.emplace_back("*"); }},
      {"capabilities", true, [](PluginConfig& c) { c.capabilities.require.emplace_back("a"); }},
      {"settings", false, [](PluginConfig& c) { c.settings += " "; }},
      {"config_schema", false, [](PluginConfig& c) { c.config_schema = "/kv.json"; }},
  };
  return kChanges;
}

TEST(DiffTest, ClassifiesEveryField) {
  const PluginConfig config;
  // A field more or less makes this binding fail to compile; it then belongs in Changes() too.
  const auto& [f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17, f18, f19,
               f20, f21, f22, f23, f24, f25, f26] = config;
  static_cast<void>(f1);
  EXPECT_EQ(Changes().size(), 26u);
}

class ChangeTest : public ::testing::TestWithParam<Change> {};

TEST_P(ChangeTest, RestartsOnlyWhatTheProcessWasStartedWith) {
  PluginConfig before;
  before.name = "kv";
  auto after = before;
  GetParam().apply(after);
  ASSERT_NE(before, after);
  EXPECT_EQ(SameProcess(before, after), !GetParam().restarts);

  const auto diff = Compare({{}, {{"kv", before}}}, {{}, {{"kv", after}}});
  EXPECT_EQ(diff.changed.size(), GetParam().restarts ? 1u : 0u);
  EXPECT_EQ(diff.updated.size(), GetParam().restarts ? 0u : 1u);
  EXPECT_THAT(diff.unchanged, IsEmpty());
}

INSTANTIATE_TEST_SUITE_P(EachField, ChangeTest, ::testing::ValuesIn(Changes()),
                         [](const auto& change) { return change.param.field; });

TEST(DiffTest, SortsPluginsByWhatAReloadMustDo) {
  const auto plugin = [](const std::string& name, const std::string& program) {
    PluginConfig config;
    config.name = name;
    config.command = {program};
    return config;
  };
  Config before;
  before.plugins = {{"changed", plugin("changed", "/a")},
                    {"gone", plugin("gone", "/a")},
                    {"same", plugin("same", "/a")},
                    {"updated", plugin("updated", "/a")}};
  auto after = before;
  after.plugins.erase("gone");
  after.plugins["new"] = plugin("new", "/a");
  after.plugins["changed"].command = {"/b"};
  after.plugins["updated"].restart = Restart::kNever;
  const auto diff = Compare(before, after);
  EXPECT_THAT(diff.added, ElementsAre("new"));
  EXPECT_THAT(diff.removed, ElementsAre("gone"));
  EXPECT_THAT(diff.changed, ElementsAre("changed"));
  EXPECT_THAT(diff.updated, ElementsAre("updated"));
  EXPECT_THAT(diff.unchanged, ElementsAre("same"));
  EXPECT_FALSE(diff.daemon_changed);
}

TEST(DiffTest, SeesAChangeOfTheDaemon) {
  Config after;
  after.daemon.log_level = LogLevel::kDebug;
  EXPECT_TRUE(Compare({}, after).daemon_changed);
}

// Configurations of a few plugins out of few names, each with a few changes, so that pairs have
// much in common.
PluginConfig AnyPlugin(const std::string& name) {
  PluginConfig plugin;
  plugin.name = name;
  const auto picks = *rc::gen::container<std::vector<size_t>>(
      rc::gen::inRange<size_t>(1, Changes().size()));  // not the name
  for (size_t i = 0; i < std::min<size_t>(picks.size(), 3); ++i) Changes()[picks[i]].apply(plugin);
  return plugin;
}

Config AnyConfig() {
  Config config;
  for (const auto* name : {"a", "b", "c", "d"}) {
    if (*rc::gen::arbitrary<bool>()) config.plugins.emplace(name, AnyPlugin(name));
  }
  if (*rc::gen::arbitrary<bool>()) config.daemon.gateway_threads = 2;
  return config;
}

RC_GTEST_PROP(DiffTest, PutsEachPluginInExactlyOneSortedList, ()) {
  const auto before = AnyConfig();
  const auto after = AnyConfig();
  const auto diff = Compare(before, after);
  std::vector<std::string> listed;
  for (const auto* list :
       {&diff.added, &diff.removed, &diff.changed, &diff.updated, &diff.unchanged}) {
    RC_ASSERT(std::is_sorted(list->begin(), list->end()));
    listed.insert(listed.end(), list->begin(), list->end());
  }
  std::sort(listed.begin(), listed.end());
  auto all = before.plugins;
  all.insert(after.plugins.begin(), after.plugins.end());
  std::vector<std::string> names;
  for (const auto& [name, plugin] : all) names.push_back(name);
  RC_ASSERT(listed == names);
}

RC_GTEST_PROP(DiffTest, FindsNothingBetweenAConfigurationAndItself, ()) {
  const auto config = AnyConfig();
  const auto diff = Compare(config, config);
  RC_ASSERT(diff.unchanged.size() == config.plugins.size());
  RC_ASSERT(!diff.daemon_changed);
}

RC_GTEST_PROP(DiffTest, SwapsAddedAndRemovedWithTheSides, ()) {
  const auto before = AnyConfig();
  const auto after = AnyConfig();
  const auto there = Compare(before, after);
  const auto back = Compare(after, before);
  RC_ASSERT(there.added == back.removed);
  RC_ASSERT(there.removed == back.added);
  RC_ASSERT(there.changed == back.changed);
  RC_ASSERT(there.updated == back.updated);
  RC_ASSERT(there.unchanged == back.unchanged);
  RC_ASSERT(there.daemon_changed == back.daemon_changed);
}

RC_GTEST_PROP(DiffTest, UpdatesOnlyWhatMayGoOnRunning, ()) {
  const auto before = AnyConfig();
  const auto after = AnyConfig();
  const auto diff = Compare(before, after);
  for (const auto& name : diff.updated) {
    RC_ASSERT(SameProcess(before.plugins.at(name), after.plugins.at(name)));
  }
  for (const auto& name : diff.changed) {
    RC_ASSERT(!SameProcess(before.plugins.at(name), after.plugins.at(name)));
  }
}

RC_GTEST_PROP(DiffTest, CallsProcessesTheSameAsAnEquivalence, ()) {
  const auto a = AnyPlugin("kv");
  const auto b = AnyPlugin("kv");
  const auto c = AnyPlugin("kv");
  RC_ASSERT(SameProcess(a, a));
  RC_ASSERT(SameProcess(a, b) == SameProcess(b, a));
  if (SameProcess(a, b) && SameProcess(b, c)) RC_ASSERT(SameProcess(a, c));
}

}  // namespace
}  // namespace plugind::config
