// Stops: of one plugin, rung by rung, in every state; and of all of them, in order.

#include <string>
#include <vector>

#include "daemon/supervisor/testing/core_fixture.h"

namespace plugind::supervisor {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::ElementsAre;
using testing::HasSubstr;

class StopTest : public CoreTest {
 protected:
  void Stop(const std::string& name) {
    ASSERT_TRUE(supervisor().StopPlugin(name).ok());
    Settle();
  }
};

TEST_F(StopTest, APluginThatKnowsHowIsAskedAndEndsByItself) {
  manners("kv").exits_on_shutdown = true;
  BootWith("kv");
  const size_t begin = Now();
  Stop("kv");
  EXPECT_EQ(StateOf("kv"), "STOPPED");
  EXPECT_EQ(Status("kv").last_exit->status, ExitStatus{});
  EXPECT_THAT(CommandsSince(begin), ElementsAre("KillTree kv", "Forget kv"));
  EXPECT_THAT(Events("kv"), ElementsAre("waiting", "starting", "spawned", "ready", "draining",
                                        "stopping", "stopped"));
}

TEST_F(StopTest, CallsThatRunEndBeforeItIsAskedToEnd) {
  BootWith("kv");
  busy.insert("kv");
  Stop("kv");
  EXPECT_EQ(StateOf("kv"), "DRAINING");
  Advance(seconds(29));
  EXPECT_EQ(StateOf("kv"), "DRAINING");
  EXPECT_EQ(manners("kv").shutdowns, 0);
  supervisor().OnDrained(Status("kv").instance);
  Settle();
  EXPECT_EQ(StateOf("kv"), "STOPPED");
}

TEST_F(StopTest, CallsThatDoNotEndAreWaitedForUntilTheDrainDeadline) {
  BootWith("kv");
  busy.insert("kv");
  Stop("kv");
  Advance(seconds(30) - milliseconds(1));
  EXPECT_EQ(StateOf("kv"), "DRAINING");
  Advance(milliseconds(1));
  EXPECT_EQ(StateOf("kv"), "STOPPED");
}

TEST_F(StopTest, WhatIsDrainingIsKilledWhenHasteIsAskedFor) {
  BootWith("kv");
  busy.insert("kv");
  supervisor().Shutdown([] {});
  Settle();
  EXPECT_EQ(StateOf("kv"), "DRAINING");
  supervisor().Hasten();
  Settle();
  EXPECT_EQ(StateOf("kv"), "STOPPED");
}

TEST_F(StopTest, OneThatDoesNotKnowShutdownGetsSigtermAtOnce) {
  BootWith("kv");
  const size_t begin = Now();
  Stop("kv");
  EXPECT_EQ(manners("kv").shutdowns, 1);
  EXPECT_EQ(StateOf("kv"), "STOPPED");
  // SIGCONT, because a stopped process would sleep through SIGTERM.
  EXPECT_THAT(CommandsSince(begin),
              ElementsAre("Signal kv 15", "Signal kv 18", "KillTree kv", "Forget kv"));
}

TEST_F(StopTest, TheLadderTakesFiveSecondsThenTenThenTheWholeTree) {
  manners("kv").shutdown_hangs = true;
  keeper.habits("kv").obeys_sigterm = false;
  BootWith("kv");
  Stop("kv");
  EXPECT_EQ(StateOf("kv"), "STOPPING");
  Advance(seconds(5) - milliseconds(1));
  EXPECT_TRUE(keeper.process("kv").signals.empty());
  Advance(milliseconds(1));
  EXPECT_THAT(keeper.process("kv").signals, ElementsAre(15, 18));
  Advance(seconds(10) - milliseconds(1));
  EXPECT_EQ(StateOf("kv"), "STOPPING");
  Advance(milliseconds(1));
  EXPECT_EQ(StateOf("kv"), "STOPPED");
  EXPECT_EQ(Status("kv").last_exit->status, (ExitStatus{.signal = 9}));
}

TEST_F(StopTest, EachRungIsOnRecordWithItsDeadline) {
  manners("kv").shutdown_hangs = true;
  keeper.habits("kv").obeys_sigterm = false;
  keeper.habits("kv").dies_of_sigkill = false;
  BootWith("kv");
  const Instant begin = clock.Now();
  Stop("kv");
  EXPECT_EQ(keeper.record("kv")->rung, StopRung::kShutdown);
  EXPECT_EQ(keeper.record("kv")->rung_deadline, begin + seconds(5));
  Advance(seconds(5));
  EXPECT_EQ(keeper.record("kv")->rung, StopRung::kTerminate);
  EXPECT_EQ(keeper.record("kv")->rung_deadline, begin + seconds(15));
  Advance(seconds(10));
  EXPECT_EQ(keeper.record("kv")->rung, StopRung::kKill);
}

TEST_F(StopTest, AShutdownThatIsAnsweredWithAnErrorSaysNothingAndTheProcessIsWatched) {
  manners("kv").shutdown = absl::UnavailableError("Socket closed");
  BootWith("kv");
  Stop("kv");
  EXPECT_EQ(StateOf("kv"), "STOPPING");
  EXPECT_TRUE(keeper.process("kv").signals.empty());
  keeper.Exit("kv", {});
  Settle();
  EXPECT_EQ(StateOf("kv"), "STOPPED");
}

TEST_F(StopTest, ItIsStoppedOnlyWhenItsLastProcessIsGone) {
  keeper.habits("kv").leaves_descendants = true;
  BootWith("kv");
  Stop("kv");
  EXPECT_EQ(StateOf("kv"), "STOPPING");
  EXPECT_TRUE(Status("kv").last_exit);
  keeper.Gone("kv");
  Settle();
  EXPECT_EQ(StateOf("kv"), "STOPPED");
}

TEST_F(StopTest, AStopWhileStartingStopsTheProcess) {
  for (const auto* phase : {"spawn", "handshake", "connect", "warm-up"}) {
    World world;
    const std::string at = phase;
    if (at == "handshake") world.keeper.habits("kv").prints = "";
    if (at == "connect") world.plugins.manners["kv"].connect_hangs = true;
    if (at == "warm-up") world.plugins.manners["kv"].health = false;
    world.keeper.hold_reports = at == "spawn";
    world.Add("kv");
    world.Boot();
    ASSERT_EQ(ToString(world.Status("kv").phase), at);
    ASSERT_TRUE(world.supervisor().StopPlugin("kv").ok());
    world.keeper.hold_reports = false;
    world.Advance(seconds(15));
    EXPECT_EQ(world.Status("kv").state, State::kStopped) << at;
    EXPECT_EQ(world.keeper.process_count(), 0U) << at;
  }
}

TEST_F(StopTest, AStopInBackoffQuarantineAndFailureTakesEffectAtOnce) {
  keeper.habits("kv").ends_at_once = ExitStatus{.code = 1};
  BootWith("kv");
  ASSERT_EQ(StateOf("kv"), "BACKOFF");
  Stop("kv");
  EXPECT_EQ(StateOf("kv"), "STOPPED");
  ASSERT_TRUE(supervisor().StartPlugin("kv").ok());
  Advance(seconds(3));
  ASSERT_EQ(StateOf("kv"), "QUARANTINED");
  Stop("kv");
  EXPECT_EQ(StateOf("kv"), "STOPPED");
  keeper.habits("kv").prints = "2|1|unix|/x|grpc\n";
  keeper.habits("kv").ends_at_once.reset();
  ASSERT_TRUE(supervisor().StartPlugin("kv").ok());
  Settle();
  ASSERT_EQ(StateOf("kv"), "FAILED");
  Stop("kv");
  EXPECT_EQ(StateOf("kv"), "STOPPED");
  EXPECT_EQ(ReasonOf("kv"), "stopped by an operator");
  Advance(std::chrono::hours(2));
  EXPECT_EQ(StateOf("kv"), "STOPPED");
}

TEST_F(StopTest, AStopWhileWaitingTakesEffectAtOnce) {
  manners("db").health = false;
  Add("db");
  Add("kv").after = {"db"};
  Boot();
  ASSERT_EQ(StateOf("kv"), "WAITING");
  Stop("kv");
  EXPECT_EQ(StateOf("kv"), "STOPPED");
  manners("db").health = true;
  Advance(seconds(1));
  ASSERT_EQ(StateOf("db"), "READY");
  EXPECT_EQ(StateOf("kv"), "STOPPED");
}

TEST_F(StopTest, AStartWhileStoppingStartsAgainWhenTheOldOneIsGone) {
  keeper.habits("kv").leaves_descendants = true;
  BootWith("kv");
  Stop("kv");
  ASSERT_EQ(StateOf("kv"), "STOPPING");
  ASSERT_TRUE(supervisor().StartPlugin("kv").ok());
  Settle();
  EXPECT_EQ(StateOf("kv"), "STOPPING");
  keeper.Gone("kv");
  Settle();
  EXPECT_EQ(StateOf("kv"), "READY");
  EXPECT_EQ(Status("kv").restarts, 1U);
}

TEST_F(StopTest, AStartWhileAFailedOneIsBeingStoppedIsHeardToo) {
  keeper.habits("kv").leaves_descendants = true;
  keeper.habits("kv").prints = "1|1|unix|{DIR}/p.sock|netrpc\n";
  BootWith("kv");
  ASSERT_EQ(StateOf("kv"), "STOPPING");
  keeper.habits("kv").prints = "1|1|unix|{DIR}/p.sock|grpc\n";
  ASSERT_TRUE(supervisor().StartPlugin("kv").ok());
  keeper.Gone("kv");
  Settle();
  EXPECT_EQ(StateOf("kv"), "READY");
}

TEST_F(StopTest, ARestartIsAStopAndAStart) {
  BootWith("kv");
  const std::string first = Status("kv").instance;
  ASSERT_TRUE(supervisor().RestartPlugin("kv").ok());
  Settle();
  EXPECT_EQ(StateOf("kv"), "READY");
  EXPECT_NE(Status("kv").instance, first);
  EXPECT_EQ(Status("kv").recent_failures, 0U);
  EXPECT_THAT(Events("kv"), ElementsAre("waiting", "starting", "spawned", "ready", "draining",
                                        "stopping", "waiting", "starting", "spawned", "ready"));
}

// ── Trees that do not die

TEST_F(StopTest, AStuckTreeIsReportedAndNoSecondCopyStartsBeforeItIsGone) {
  keeper.habits("kv").leaves_descendants = true;
  BootWith("kv");
  keeper.Exit("kv", {.signal = 11});
  keeper.ReportStuck("kv");
  Settle();
  EXPECT_TRUE(Status("kv").stuck);
  EXPECT_EQ(StateOf("kv"), "STOPPING");
  EXPECT_THAT(ReasonOf("kv"), HasSubstr("stuck: SIGKILL did not end 2 of its processes (pid "));
  EXPECT_THAT(ReasonOf("kv"), HasSubstr("no second copy is started"));
  EXPECT_EQ(Events("kv").back(), "stuck");
  ASSERT_TRUE(supervisor().StartPlugin("kv").ok());
  ASSERT_TRUE(supervisor().RestartPlugin("kv").ok());
  Advance(std::chrono::hours(1));
  EXPECT_EQ(StateOf("kv"), "STOPPING");
  EXPECT_EQ(keeper.spawns("kv"), 1);

  keeper.Gone("kv");
  Settle();
  EXPECT_EQ(StateOf("kv"), "READY");
  EXPECT_FALSE(Status("kv").stuck);
}

// ── The end of all

class ShutdownTest : public StopTest {
 protected:
  void SetUp() override {
    Add("db");
    Add("kv").after = {"db"};
    Add("web").after = {"kv", "db"};
    Add("alone");
    for (const auto& [name, plugin] : config.plugins) keeper.habits(name).obeys_sigterm = false;
    Boot();
  }
  void Shutdown() {
    supervisor().Shutdown([this] { done = true; });
    Settle();
  }
  // The names of plugins that have been sent SIGTERM, in order.
  std::vector<std::string> Terminated() const {
    std::vector<std::string> names;
    for (const auto& command : keeper.commands()) {
      if (command.starts_with("Signal ") && command.ends_with(" 15")) {
        names.push_back(command.substr(7, command.size() - 10));
      }
    }
    return names;
  }
  bool done = false;
};

TEST_F(ShutdownTest, DependentsStopBeforeWhatTheyDependOn) {
  Shutdown();
  EXPECT_TRUE(keeper.stopping());
  EXPECT_THAT(Terminated(), ElementsAre("alone", "web"));
  EXPECT_EQ(StateOf("kv"), "READY");
  keeper.Exit("web", {});
  Settle();
  EXPECT_THAT(Terminated(), ElementsAre("alone", "web", "kv"));
  EXPECT_EQ(StateOf("db"), "READY");
  keeper.Exit("kv", {});
  Settle();
  EXPECT_THAT(Terminated(), ElementsAre("alone", "web", "kv", "db"));
  keeper.Exit("db", {});
  Settle();
  EXPECT_FALSE(done);
  keeper.Exit("alone", {});
  Settle();
  EXPECT_TRUE(done);
  EXPECT_EQ(keeper.process_count(), 0U);
}

TEST_F(ShutdownTest, WhatDiesDuringItIsNotStartedAgain) {
  Shutdown();
  keeper.Exit("db", {.signal = 9});
  Settle();
  EXPECT_EQ(StateOf("db"), "STOPPED");
  Advance(seconds(60));
  EXPECT_TRUE(done);
  EXPECT_EQ(keeper.spawns("db"), 1);
}

TEST_F(ShutdownTest, HastenKillsWhatIsLeftAtOnce) {
  Shutdown();
  const Instant before = clock.Now();
  supervisor().Hasten();
  Settle();
  EXPECT_TRUE(done);
  EXPECT_EQ(clock.Now(), before);
  EXPECT_EQ(keeper.process_count(), 0U);
}

TEST_F(ShutdownTest, OperatorsAreToldThatItIsTooLate) {
  Shutdown();
  for (const absl::Status& status :
       {supervisor().StartPlugin("db"), supervisor().StopPlugin("db"),
        supervisor().RestartPlugin("db"), supervisor().EnablePlugin("db"),
        supervisor().DisablePlugin("db")}) {
    EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
    EXPECT_EQ(supervisor::ReasonOf(status), "SHUTTING_DOWN");
  }
}

TEST_F(ShutdownTest, DecisionsStayAsTheyAreForTheNextTime) {
  Shutdown();
  supervisor().Hasten();
  Settle();
  ASSERT_TRUE(done);
  EXPECT_EQ(plugind->decisions->Get("db"), Decision{});
}

TEST_F(ShutdownTest, APlugindKilledInTheMiddleOfItGoesOnWithItAndStartsNothing) {
  Shutdown();
  KillPlugind();
  keeper.Exit("web", {});
  Boot();
  EXPECT_TRUE(supervisor().stopping());
  Shutdown();
  Advance(seconds(60));
  EXPECT_TRUE(done);
  EXPECT_EQ(keeper.process_count(), 0U);
  for (const auto* name : {"db", "kv", "web", "alone"}) EXPECT_EQ(keeper.spawns(name), 1) << name;
}

TEST_F(ShutdownTest, WithNothingRunningItIsDoneAtOnce) {
  for (const auto* name : {"db", "kv", "web", "alone"}) Stop(name);
  Advance(seconds(60));
  Shutdown();
  EXPECT_TRUE(done);
}

TEST_F(ShutdownTest, AReloadDuringItStartsNothing) {
  Shutdown();
  config::Config next = config;
  next.plugins["new"] = next.plugins["alone"];
  next.plugins["new"].name = "new";
  next.plugins["db"].env["A"] = "b";
  next.plugins.erase("kv");
  supervisor().Apply(next);
  Advance(seconds(120));
  EXPECT_TRUE(done);
  EXPECT_EQ(keeper.spawns("new"), 0);
  EXPECT_EQ(keeper.spawns("db"), 1);
}

}  // namespace
}  // namespace plugind::supervisor
