// New configurations: only what differs is touched. And `after`: who waits for whom.

#include <string>
#include <vector>

#include "daemon/supervisor/testing/core_fixture.h"

namespace plugind::supervisor {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class ReloadTest : public CoreTest {
 protected:
  config::Diff Apply() {
    auto diff = supervisor().Apply(config);
    Settle();
    return diff;
  }
};

TEST_F(ReloadTest, TouchesOnlyWhatDiffers) {
  for (const auto* name : {"changed", "removed", "same", "updated"}) Add(name);
  Boot();
  const std::string changed = Status("changed").instance;
  const std::string same = Status("same").instance;
  const std::string updated = Status("updated").instance;
  const size_t begin = Now();

  config.plugins.erase("removed");
  Add("added");
  Add("changed").env["A"] = "b";
  Add("updated").stop.grace = seconds(1);
  const auto diff = Apply();
  EXPECT_THAT(diff.added, ElementsAre("added"));
  EXPECT_THAT(diff.removed, ElementsAre("removed"));
  EXPECT_THAT(diff.changed, ElementsAre("changed"));
  EXPECT_THAT(diff.updated, ElementsAre("updated"));
  EXPECT_THAT(diff.unchanged, ElementsAre("same"));

  EXPECT_EQ(StateOf("added"), "READY");
  EXPECT_EQ(StateOf("changed"), "READY");
  EXPECT_NE(Status("changed").instance, changed);
  EXPECT_EQ(Status("same").instance, same);
  EXPECT_EQ(Status("updated").instance, updated);
  EXPECT_FALSE(supervisor().Get("removed").ok());
  EXPECT_FALSE(keeper.HasProcess("removed"));
  EXPECT_FALSE(keeper.record("removed"));
  EXPECT_FALSE(keeper.fds().contains("log:removed"));
  for (size_t i = begin; i < Now(); ++i) {
    EXPECT_EQ(keeper.commands()[i].find("same"), std::string::npos) << keeper.commands()[i];
  }
}

TEST_F(ReloadTest, TheSameAgainDoesNothing) {
  Add("kv");
  Add("web").after = {"kv"};
  Boot();
  const size_t begin = Now();
  Apply();
  EXPECT_EQ(Now(), begin);
}

TEST_F(ReloadTest, AnUpdateHoldsForTheRunningProcess) {
  manners("kv").shutdown_hangs = true;
  BootWith("kv");
  Add("kv").stop.shutdown = seconds(1);
  Apply();
  ASSERT_TRUE(supervisor().StopPlugin("kv").ok());
  Advance(seconds(1));
  EXPECT_EQ(StateOf("kv"), "STOPPED");
}

TEST_F(ReloadTest, AChangeBringsAFailedPluginBack) {
  Add("kv").command = {dir.Path("nowhere")};
  Boot();
  ASSERT_EQ(StateOf("kv"), "FAILED");
  Add("kv");
  Apply();
  EXPECT_EQ(StateOf("kv"), "READY");
}

TEST_F(ReloadTest, WhatIsNoLongerNeverRestartedIsTriedAgain) {
  Add("kv").restart = config::Restart::kNever;
  Boot();
  keeper.Exit("kv", {.code = 1});
  Settle();
  ASSERT_EQ(StateOf("kv"), "FAILED");
  Add("kv").stop.grace = seconds(1);
  config.plugins["kv"].restart = config::Restart::kNever;
  Apply();
  ASSERT_EQ(StateOf("kv"), "FAILED") << "what has changed is not what it rests for";
  Add("kv").restart = config::Restart::kOnFailure;
  Apply();
  EXPECT_EQ(StateOf("kv"), "READY");
  EXPECT_EQ(keeper.spawns("kv"), 2);
}

TEST_F(ReloadTest, WhatCannotWorkIsNotTriedAgainForAnotherRestartSetting) {
  Add("kv").command = {dir.Path("nowhere")};
  config.plugins["kv"].restart = config::Restart::kNever;
  Boot();
  ASSERT_EQ(StateOf("kv"), "FAILED");
  const size_t events = Events("kv").size();
  config.plugins["kv"].restart = config::Restart::kAlways;
  Apply();
  EXPECT_EQ(StateOf("kv"), "FAILED");
  EXPECT_EQ(Events("kv").size(), events);
}

TEST_F(ReloadTest, WhatHasFinishedIsStartedAgainWhenItShallAlwaysRun) {
  BootWith("job");
  keeper.Exit("job", {});
  Settle();
  ASSERT_EQ(StateOf("job"), "STOPPED");
  Add("job").restart = config::Restart::kAlways;
  Apply();
  EXPECT_EQ(StateOf("job"), "READY");
  // Unlike what an operator has stopped.
  ASSERT_TRUE(supervisor().StopPlugin("job").ok());
  Settle();
  Add("job").restart = config::Restart::kNever;
  Apply();
  Add("job").restart = config::Restart::kAlways;
  Apply();
  EXPECT_EQ(StateOf("job"), "STOPPED");
}

TEST_F(ReloadTest, AChangeWhileAFailedOneIsStillBeingStoppedIsTakenUpWhenItIsGone) {
  keeper.habits("kv").prints = "1|7|unix|{DIR}/p.sock|grpc\n";
  keeper.habits("kv").leaves_descendants = true;
  BootWith("kv");
  ASSERT_EQ(StateOf("kv"), "STOPPING");
  Add("kv").protocol_versions = {7};
  Apply();
  keeper.Gone("kv");
  Settle();
  EXPECT_EQ(StateOf("kv"), "READY");
}

TEST_F(ReloadTest, AChangeEndsABackoffAndAQuarantine) {
  keeper.habits("kv").ends_at_once = ExitStatus{.code = 1};
  BootWith("kv");
  Advance(seconds(3));
  ASSERT_EQ(StateOf("kv"), "QUARANTINED");
  keeper.habits("kv").ends_at_once.reset();
  Add("kv").env["FIXED"] = "1";
  Apply();
  EXPECT_EQ(StateOf("kv"), "READY");
  EXPECT_EQ(Status("kv").recent_failures, 0U);
}

TEST_F(ReloadTest, AChangeOfWhatAnOperatorStoppedDoesNotStartIt) {
  BootWith("kv");
  ASSERT_TRUE(supervisor().StopPlugin("kv").ok());
  Settle();
  Add("kv").env["A"] = "b";
  Apply();
  EXPECT_EQ(StateOf("kv"), "STOPPED");
}

TEST_F(ReloadTest, DisabledInTheFileIsStoppedAndEnabledAgainIsStarted) {
  BootWith("kv");
  config.plugins["kv"].enabled = false;
  Apply();
  EXPECT_EQ(StateOf("kv"), "STOPPED");
  EXPECT_EQ(ReasonOf("kv"), "disabled");
  config.plugins["kv"].enabled = true;
  Apply();
  EXPECT_EQ(StateOf("kv"), "READY");
}

TEST_F(ReloadTest, RemovedAndBackBeforeTheOldProcessIsGoneWaitsForItsEnd) {
  keeper.habits("kv").leaves_descendants = true;
  BootWith("kv");
  config.plugins.erase("kv");
  Apply();
  EXPECT_EQ(StateOf("kv"), "STOPPING");
  Add("kv").env["A"] = "b";
  Apply();
  EXPECT_EQ(StateOf("kv"), "STOPPING");
  EXPECT_EQ(keeper.spawns("kv"), 1);
  keeper.Gone("kv");
  Settle();
  EXPECT_EQ(StateOf("kv"), "READY");
  EXPECT_EQ(keeper.spawns("kv"), 2);
  EXPECT_TRUE(keeper.fds().contains("log:kv"));
}

TEST_F(ReloadTest, RemovedAndBackLaterBeginsAnew) {
  BootWith("kv");
  config.plugins.erase("kv");
  Apply();
  EXPECT_FALSE(supervisor().Get("kv").ok());
  Add("kv");
  Apply();
  EXPECT_EQ(StateOf("kv"), "READY");
  EXPECT_EQ(Status("kv").restarts, 0U);
}

TEST_F(ReloadTest, AnOperatorsStartDoesNotBringARemovedPluginBack) {
  keeper.habits("kv").leaves_descendants = true;
  BootWith("kv");
  config.plugins.erase("kv");
  Apply();
  ASSERT_EQ(StateOf("kv"), "STOPPING");
  (void)supervisor().StartPlugin("kv");
  (void)supervisor().RestartPlugin("kv");
  (void)supervisor().EnablePlugin("kv");
  Settle();
  keeper.Gone("kv");
  Settle();
  EXPECT_FALSE(supervisor().Get("kv").ok());
  EXPECT_EQ(keeper.spawns("kv"), 1);
}

TEST_F(ReloadTest, ARemovedPluginInBackoffIsGoneAtOnce) {
  BootWith("kv");
  keeper.Exit("kv", {.signal = 9});
  Settle();
  config.plugins.erase("kv");
  Apply();
  EXPECT_THAT(supervisor().List(), IsEmpty());
  Advance(seconds(5));
  EXPECT_EQ(keeper.spawns("kv"), 1);
}

TEST_F(ReloadTest, WhatRestedBeforePlugindsDeathIsTriedAgainIfItsConfigurationHasChanged) {
  for (const auto* name : {"backoff", "failed", "never", "same"}) Add(name);
  config.plugins["failed"].command = {dir.Path("nowhere")};
  config.plugins["same"].command = {dir.Path("nowhere")};
  config.plugins["never"].restart = config::Restart::kNever;
  Boot();
  keeper.Exit("backoff", {.code = 1});
  keeper.Exit("never", {.code = 1});
  Settle();
  ASSERT_EQ(StateOf("backoff"), "BACKOFF");
  for (const auto* name : {"failed", "never", "same"}) ASSERT_EQ(StateOf(name), "FAILED");
  KillPlugind();
  Add("backoff").env["A"] = "b";
  Add("failed");
  Add("never").restart = config::Restart::kOnFailure;
  Boot();
  for (const auto* name : {"backoff", "failed", "never"}) EXPECT_EQ(StateOf(name), "READY") << name;
  EXPECT_EQ(StateOf("same"), "FAILED");
}

TEST_F(ReloadTest, WhatPlugindWasNotToldBeforeItsDeathItFindsInTheConfiguration) {
  for (const auto* name : {"changed", "removed", "same"}) Add(name);
  Boot();
  const std::string changed = Status("changed").instance;
  const std::string same = Status("same").instance;
  KillPlugind();
  config.plugins.erase("removed");
  Add("changed").env["A"] = "b";
  Add("added");
  Boot();
  EXPECT_EQ(StateOf("changed"), "READY");
  EXPECT_NE(Status("changed").instance, changed);
  EXPECT_EQ(Status("same").instance, same);
  EXPECT_EQ(StateOf("added"), "READY");
  EXPECT_FALSE(keeper.HasProcess("removed"));
  EXPECT_FALSE(keeper.record("removed"));
  EXPECT_FALSE(keeper.fds().contains("log:removed"));
  EXPECT_EQ(keeper.process_count(), 3U);
}

TEST_F(ReloadTest, RemovedAndPlugindKilledAndAddedAgainStartsNoSecondCopy) {
  keeper.habits("kv").leaves_descendants = true;
  BootWith("kv");
  KillPlugind();
  config.plugins.erase("kv");
  keeper.habits("kv").dies_of_sigkill = false;
  Boot();
  Add("kv");
  Apply();
  EXPECT_EQ(keeper.spawns("kv"), 1) << "the old process is still there";
  keeper.Exit("kv", {.signal = 9});
  keeper.Gone("kv");
  Settle();
  EXPECT_EQ(StateOf("kv"), "READY");
}

// ── Who starts after whom

class AfterTest : public ReloadTest {};

TEST_F(AfterTest, APluginWaitsUntilWhatItNeedsIsReadyAndSaysWhy) {
  keeper.habits("db").prints = "";
  Add("db");
  Add("kv").after = {"db"};
  Add("web").after = {"kv"};
  Boot();
  EXPECT_EQ(StateOf("kv"), "WAITING");
  EXPECT_EQ(ReasonOf("kv"), "waits for db, which is STARTING");
  EXPECT_EQ(ReasonOf("web"), "waits for kv, which is WAITING");
  keeper.Print("db", HandshakeOf("db"));
  Settle();
  for (const auto* name : {"db", "kv", "web"}) EXPECT_EQ(StateOf(name), "READY") << name;
  std::vector<std::string> spawned;
  for (const auto& command : keeper.commands()) {
    if (command.starts_with("Spawn")) spawned.push_back(command);
  }
  EXPECT_THAT(spawned, ElementsAre("Spawn db", "Spawn kv", "Spawn web"));
}

TEST_F(AfterTest, TheReasonFollowsWhatItWaitsFor) {
  keeper.habits("db").ends_at_once = ExitStatus{.code = 1};
  Add("db");
  Add("kv").after = {"db"};
  Boot();
  EXPECT_EQ(ReasonOf("kv"), "waits for db, which is BACKOFF");
  Advance(seconds(3));
  EXPECT_EQ(ReasonOf("kv"), "waits for db, which is QUARANTINED");
  ASSERT_TRUE(supervisor().StopPlugin("db").ok());
  Settle();
  EXPECT_EQ(ReasonOf("kv"), "waits for db, which is STOPPED");
}

TEST_F(AfterTest, WhatRunsGoesOnWhenWhatItCameAfterDies) {
  Add("db");
  Add("kv").after = {"db"};
  Boot();
  const std::string instance = Status("kv").instance;
  keeper.Exit("db", {.signal = 9});
  Settle();
  EXPECT_EQ(StateOf("db"), "BACKOFF");
  EXPECT_EQ(StateOf("kv"), "READY");
  EXPECT_EQ(Status("kv").instance, instance);
}

TEST_F(AfterTest, ARestartWaitsToo) {
  Add("db");
  Add("kv").after = {"db"};
  config.plugins["kv"].backoff.initial = Duration::zero();
  Boot();
  keeper.Exit("db", {.signal = 9});
  keeper.Exit("kv", {.signal = 9});
  Settle();
  EXPECT_EQ(StateOf("kv"), "WAITING");
  EXPECT_EQ(ReasonOf("kv"), "waits for db, which is BACKOFF");
  Advance(milliseconds(200));
  EXPECT_EQ(StateOf("kv"), "READY");
}

TEST_F(AfterTest, WaitingForADependencySpendsNoBudget) {
  config.daemon.restarts_per_second = 1;
  Add("db").backoff.initial = seconds(10);
  for (const auto* name : {"a", "b", "c"}) {
    Add(name).after = {"db"};
    config.plugins[name].backoff.initial = Duration::zero();
  }
  Add("z").backoff.initial = Duration::zero();
  Boot();
  for (const auto* name : {"db", "a", "b", "c"}) keeper.Exit(name, {.signal = 9});
  Settle();
  keeper.Exit("z", {.signal = 9});
  Settle();
  EXPECT_EQ(StateOf("z"), "READY");
}

TEST_F(AfterTest, ADependencyThatIsNoLongerConfiguredIsNamed) {
  Add("db");
  Add("kv").after = {"db"};
  Boot();
  config.plugins.erase("db");
  Apply();
  keeper.Exit("kv", {.signal = 9});
  Advance(seconds(1));
  EXPECT_EQ(ReasonOf("kv"), "waits for db, which is not configured");
  config.plugins["kv"].after.clear();
  Apply();
  EXPECT_EQ(StateOf("kv"), "READY");
}

}  // namespace
}  // namespace plugind::supervisor
