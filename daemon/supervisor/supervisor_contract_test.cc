// The plugin contract under the supervisor: what is settled at a start, new settings while it runs,
// and the drain before the end.
#include "daemon/supervisor/testing/core_fixture.h"

namespace plugind::supervisor {
namespace {

using std::chrono::seconds;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;

class ContractTest : public CoreTest {
 protected:
  // A plugin that serves the contract and agrees on all that plugind has, unless told otherwise.
  Manners& AddContract(const std::string& name,
                       std::vector<std::string> capabilities = {kConfigReload, kDrain, kPeerCalls,
                                                                kLogStructured, kTrace}) {
    Add(name);
    PluginAnswer answer;
    answer.name = name;
    answer.version = "1.2.0";
    answer.services = {"a.v1.A"};
    for (const auto& one : capabilities) answer.capabilities.push_back({one, {"1.0"}, false});
    Manners& manners = plugins.manners[name];
    manners.answer = answer;
    return manners;
  }
  void Reload(const std::string& name, const std::string& settings) {
    config.plugins[name].settings = settings;
    supervisor().Apply(config);
    Settle();
  }
  static absl::StatusOr<std::vector<Violation>> RefuseBad(const SettingsOffer& offer) {
    if (offer.json.find("bad") == std::string::npos) return std::vector<Violation>();
    return std::vector<Violation>{{"limits.max", "must be positive"}, {"", "no\x1b[2J good"}};
  }
};

TEST_F(ContractTest, AStartSettlesCapabilitiesAndHandsOverTheSettings) {
  Manners& a = AddContract("a");
  config.plugins["a"].settings = R"({"greeting":"hi"})";
  config.plugins["a"].capabilities.offer["emoji"] = "1.1";
  Boot();
  const PluginStatus status = Status("a");
  EXPECT_EQ(status.state, State::kReady);
  EXPECT_EQ(status.version, "1.2.0");
  EXPECT_THAT(status.services, ElementsAre("a.v1.A"));
  EXPECT_THAT(status.capabilities, SizeIs(5));
  ASSERT_TRUE(a.offer);
  EXPECT_EQ(a.offer->instance, status.instance);
  EXPECT_THAT(a.offer->capabilities, Contains(Capability{"emoji", {"1.1"}, false}));
  ASSERT_THAT(a.settings, SizeIs(1));
  EXPECT_EQ(a.settings[0].json, R"({"greeting":"hi"})");
  EXPECT_EQ(a.settings[0].generation, 1U);
  EXPECT_EQ(a.settings[0].capabilities, status.capabilities);
  ASSERT_TRUE(status.settings);
  EXPECT_EQ(status.settings->generation, 1U);
}

TEST_F(ContractTest, APluginAtTheFloorStartsAsBefore) {
  Add("a");
  Boot();
  EXPECT_EQ(Status("a").state, State::kReady);
  EXPECT_FALSE(Status("a").contract);
  EXPECT_FALSE(Status("a").settings);
  EXPECT_THAT(plugins.manners["a"].settings, IsEmpty());
  Reload("a", R"({"x":1})");
  EXPECT_EQ(Status("a").restarts, 0U);
}

TEST_F(ContractTest, APluginThatTakesNoSettingsIsReadyAndItsTableIsSaidToBeInVain) {
  AddContract("a").judge = [](const SettingsOffer&) { return absl::UnimplementedError("none"); };
  config.plugins["a"].settings = R"({"x":1})";
  Boot();
  EXPECT_EQ(Status("a").state, State::kReady);
  EXPECT_FALSE(Status("a").settings);
  EXPECT_THAT(Log("a"), Contains(testing::Field(&observe::LogEntry::message,
                                                HasSubstr("takes no settings"))));
}

TEST_F(ContractTest, WhatIsRequiredAndMissingEndsInFailed) {
  AddContract("a");
  config.plugins["a"].capabilities.require = {"gpu"};
  Add("floor").capabilities.require = {"gpu"};
  Boot();
  for (const char* name : {"a", "floor"}) {
    EXPECT_EQ(Status(name).state, State::kFailed) << name;
    EXPECT_THAT(Status(name).reason, HasSubstr("gpu (required by the host)"));
    EXPECT_THAT(Status(name).reason, HasSubstr("the plugin has"));
    EXPECT_EQ(keeper.spawns(name), 1);
  }
}

TEST_F(ContractTest, ANegotiationThatHangsEndsWithTheStartsDeadlineByName) {
  AddContract("a").negotiate_hangs = true;
  Boot();
  Advance(config.plugins["a"].start_timeout);
  EXPECT_THAT(Status("a").reason, HasSubstr("it was at the phase \"negotiate\""));
}

TEST_F(ContractTest, AConnectionThatBreaksMeanwhileIsMadeAnew) {
  Manners& a = AddContract("a");
  const auto answer = std::exchange(a.answer, absl::UnavailableError("the connection broke"));
  Boot();
  EXPECT_EQ(Status("a").phase, Phase::kNegotiate);
  a.answer = answer;
  Advance(seconds(1));
  EXPECT_EQ(Status("a").state, State::kReady);
  EXPECT_EQ(a.connects, 2);
}

TEST_F(ContractTest, AProcessThatDiesInTheNegotiationHasItsOwnEndForAReason) {
  AddContract("a").answer = absl::UnavailableError("the connection broke");
  Boot();
  keeper.Exit("a", {.code = 3});
  Settle();
  EXPECT_THAT(Status("a").reason, HasSubstr("ended at the phase \"negotiate\": exit code 3"));
}

TEST_F(ContractTest, AConnectionThatAlwaysBreaksIsNamedAtTheDeadline) {
  AddContract("a").answer = absl::UnavailableError("the connection broke");
  Boot();
  Advance(config.plugins["a"].start_timeout);
  EXPECT_THAT(Status("a").reason, HasSubstr("\"negotiate\"; the connection broke"));
}

TEST_F(ContractTest, SettingsThatAreRefusedAtTheStartEndInFailedWithEachReason) {
  AddContract("a").judge = RefuseBad;
  config.plugins["a"].settings = R"({"bad":1})";
  Boot();
  EXPECT_EQ(Status("a").state, State::kFailed);
  EXPECT_THAT(Status("a").reason,
              HasSubstr("it refuses its settings: limits.max: must be positive; no\\x1b[2J good"));
  Reload("a", R"({"bad":2})");
  EXPECT_EQ(Status("a").state, State::kFailed) << "others, that are refused as well";
  Reload("a", R"({"good":1})");
  EXPECT_EQ(Status("a").state, State::kReady) << "a change of them is a reason to try again";
}

TEST_F(ContractTest, NewSettingsAreTakenWithoutARestart) {
  Manners& a = AddContract("a");
  Boot();
  const std::string instance = Status("a").instance;
  Reload("a", R"({"n":1})");
  Reload("a", R"({"n":2})");
  EXPECT_EQ(Status("a").instance, instance);
  EXPECT_EQ(Status("a").settings->generation, 3U);
  ASSERT_THAT(a.settings, SizeIs(3));
  EXPECT_EQ(a.settings[2].json, R"({"n":2})");
  EXPECT_EQ(a.settings[2].generation, 3U);
  EXPECT_THAT(Events("a"), Contains("configured").Times(2));
}

TEST_F(ContractTest, SettingsThatChangeWhileSomeAreBeingTakenFollow) {
  Manners& a = AddContract("a");
  Boot();
  config.plugins["a"].settings = R"({"n":1})";
  supervisor().Apply(config);
  EXPECT_TRUE(Status("a").settings->pending);
  config.plugins["a"].settings = R"({"n":2})";
  supervisor().Apply(config);
  EXPECT_THAT(a.settings, SizeIs(2)) << "one call at a time";
  Settle();
  ASSERT_THAT(a.settings, SizeIs(3));
  EXPECT_EQ(a.settings[2].json, R"({"n":2})");
  EXPECT_FALSE(Status("a").settings->pending);
}

TEST_F(ContractTest, RefusedSettingsLeaveTheOldOnesVisibly) {
  Manners& a = AddContract("a");
  a.judge = RefuseBad;
  Boot();
  Reload("a", R"({"bad":1})");
  PluginStatus status = Status("a");
  EXPECT_EQ(status.state, State::kReady);
  EXPECT_EQ(status.settings->generation, 1U);
  EXPECT_THAT(status.settings->refused, HasSubstr("limits.max: must be positive"));
  EXPECT_THAT(Events("a"), Contains("settings-refused"));
  Reload("a", "{}");
  EXPECT_EQ(Status("a").settings->refused, "") << "the configuration is back at what is in force";
  EXPECT_THAT(a.settings, SizeIs(2)) << "and need not be handed over again";
}

TEST_F(ContractTest, APluginThatDiesAfterARefusalComesBackWithTheSettingsThatItHad) {
  Manners& a = AddContract("a");
  a.judge = RefuseBad;
  config.plugins["a"].settings = R"({"good":1})";
  Boot();
  Reload("a", R"({"bad":1})");
  keeper.Exit("a", {.signal = SIGKILL});
  Advance(seconds(1));
  EXPECT_EQ(Status("a").state, State::kReady);
  EXPECT_EQ(a.settings.back().json, R"({"good":1})");
  EXPECT_THAT(Status("a").settings->refused, HasSubstr("limits.max"));

  KillPlugind();
  Boot();
  keeper.Exit("a", {.signal = SIGKILL});
  Advance(seconds(1));
  EXPECT_EQ(Status("a").state, State::kReady) << "another plugind knows them too";
  EXPECT_EQ(a.settings.back().json, R"({"good":1})");

  ASSERT_TRUE(supervisor().RestartPlugin("a").ok());
  Settle();
  EXPECT_EQ(Status("a").state, State::kFailed) << "an operator's restart tries what is configured";
}

TEST_F(ContractTest, WithoutConfigReloadNewSettingsTakeARestart) {
  AddContract("a", {kPeerCalls});
  Boot();
  const std::string before = Status("a").instance;
  Reload("a", R"({"n":1})");
  Advance(seconds(20));
  EXPECT_NE(Status("a").instance, before);
  EXPECT_EQ(Status("a").state, State::kReady);
  EXPECT_EQ(plugins.manners["a"].settings.back().json, R"({"n":1})");
}

TEST_F(ContractTest, AnAnswerThatNeverComesIsARefusalThatSaysSo) {
  Manners& a = AddContract("a");
  Boot();
  a.configure_hangs = true;
  Reload("a", R"({"n":1})");
  EXPECT_TRUE(Status("a").settings->pending);
  Advance(config.plugins["a"].start_timeout);
  EXPECT_FALSE(Status("a").settings->pending);
  EXPECT_THAT(Status("a").settings->refused, HasSubstr("is not known"));
}

TEST_F(ContractTest, AConnectionThatBreaksUnderConfigureIsNoRefusal) {
  Manners& a = AddContract("a");
  Boot();
  a.judge = [](const SettingsOffer&) { return absl::UnavailableError("the connection broke"); };
  Reload("a", R"({"n":1})");
  EXPECT_TRUE(Status("a").settings->pending);
  EXPECT_EQ(Status("a").settings->refused, "");
  a.judge = nullptr;
  Advance(config.plugins["a"].health.interval);
  EXPECT_FALSE(Status("a").settings->pending);
  EXPECT_EQ(Status("a").settings->generation, 2U) << "it lives: the next check tried again";

  a.judge = [](const SettingsOffer&) { return absl::UnavailableError("the connection broke"); };
  Reload("a", R"({"n":2})");
  a.judge = nullptr;
  keeper.Exit("a", {.signal = SIGKILL});
  Advance(seconds(1));
  EXPECT_EQ(Status("a").state, State::kReady);
  EXPECT_EQ(a.settings.back().json, R"({"n":2})")
      << "it died: the next one gets what is configured";
}

TEST_F(ContractTest, SettingsThatChangedWhileNoPlugindWasThereAreHandedOver) {
  Manners& a = AddContract("a");
  Boot();
  const PluginStatus before = Status("a");
  KillPlugind();
  config.plugins["a"].settings = R"({"n":1})";
  Boot();
  const PluginStatus after = Status("a");
  EXPECT_EQ(after.instance, before.instance);
  EXPECT_EQ(after.capabilities, before.capabilities);
  EXPECT_EQ(after.version, "1.2.0");
  EXPECT_EQ(after.settings->generation, 2U);
  EXPECT_EQ(a.settings.back().json, R"({"n":1})");
}

TEST_F(ContractTest, ASchemaIsLearntAndABadOneEndsInFailed) {
  AddContract("a").answer->config_schema = "{}";
  AddContract("b").answer->config_schema = "bad";
  Boot();
  EXPECT_EQ(schemas["a"], "{}");
  EXPECT_EQ(Status("a").state, State::kReady);
  EXPECT_EQ(Status("b").state, State::kFailed);
  EXPECT_EQ(Status("b").reason, "its config_schema is bad");
}

TEST_F(ContractTest, ADrainWaitsForTheCallsAndForThePlugin) {
  Manners& a = AddContract("a");
  a.drain_hangs = true;
  a.exits_on_shutdown = true;
  Boot();
  ASSERT_TRUE(supervisor().StopPlugin("a").ok());
  Settle();
  EXPECT_EQ(a.drains, 1);
  EXPECT_EQ(Status("a").state, State::kDraining) << "no call is left, but the plugin is busy";
  Advance(config.plugins["a"].stop.drain);
  EXPECT_EQ(Status("a").state, State::kStopped);
  EXPECT_EQ(a.shutdown_by, ShutdownBy::kContract);
}

TEST_F(ContractTest, APluginThatDidNotAgreeOnDrainIsNotAskedTo) {
  Manners& a = AddContract("a", {});
  a.exits_on_shutdown = true;
  Boot();
  ASSERT_TRUE(supervisor().StopPlugin("a").ok());
  Settle();
  EXPECT_EQ(a.drains, 0);
  EXPECT_EQ(Status("a").state, State::kStopped);
}

TEST_F(ContractTest, AStatusTextStaysUntilTheProcessEnds) {
  AddContract("a").exits_on_shutdown = true;
  Boot();
  supervisor().SetStatusText("a", "replaying\x1b[2J");
  EXPECT_EQ(Status("a").status_text, "replaying\\x1b[2J");
  KillPlugind();
  Boot();
  EXPECT_EQ(Status("a").status_text, "replaying\\x1b[2J");
  ASSERT_TRUE(supervisor().RestartPlugin("a").ok());
  Advance(seconds(1));
  EXPECT_EQ(Status("a").state, State::kReady);
  EXPECT_EQ(Status("a").status_text, "");
}

TEST_F(ContractTest, LinesAreReadForStructureOnlyIfThatWasAgreed) {
  AddContract("plain", {});
  AddContract("structured");
  Boot();
  const std::string line = R"({"@level":"warn","@message":"hot"})";
  for (const char* name : {"plain", "structured"}) keeper.PrintError(name, line + "\n");
  Settle();
  EXPECT_EQ(Log("structured").back().message, "hot");
  EXPECT_EQ(Log("plain").back().message, line);
}

}  // namespace
}  // namespace plugind::supervisor
