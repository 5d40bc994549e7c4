// What becomes of a plugin that ended: the restart policy, the `restart` setting and the budget, as
// the core applies them.

#include <string>
#include <vector>

#include "daemon/supervisor/testing/core_fixture.h"

namespace plugind::supervisor {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;
using testing::ElementsAre;
using testing::HasSubstr;

class RestartTest : public CoreTest {
 protected:
  void Crash(const std::string& name) {
    keeper.Exit(name, {.signal = 9});
    Settle();
  }
};

TEST_F(RestartTest, ADeathSoonAfterReadyIsFollowedByABackoff) {
  BootWith("kv");
  const std::string first = Status("kv").instance;
  Crash("kv");
  EXPECT_EQ(StateOf("kv"), "BACKOFF");
  EXPECT_EQ(ReasonOf("kv"), "killed by signal 9 (Killed)");
  EXPECT_EQ(Status("kv").next_start_at, clock.WallNow() + milliseconds(200));
  EXPECT_EQ(Status("kv").recent_failures, 1U);
  Advance(milliseconds(199));
  EXPECT_EQ(StateOf("kv"), "BACKOFF");
  Advance(milliseconds(1));
  EXPECT_EQ(StateOf("kv"), "READY");
  EXPECT_NE(Status("kv").instance, first);
  EXPECT_EQ(Status("kv").restarts, 1U);
  ASSERT_TRUE(Status("kv").last_exit);
  EXPECT_EQ(Status("kv").last_exit->instance, first);
  EXPECT_THAT(Events("kv"), ElementsAre("waiting", "starting", "spawned", "ready", "exited",
                                        "backoff", "waiting", "starting", "spawned", "ready"));
}

TEST_F(RestartTest, ADeathAfterAStableRunIsFollowedByAStartAtOnce) {
  BootWith("kv");
  Advance(seconds(60));
  const Instant before = clock.Now();
  Crash("kv");
  EXPECT_EQ(StateOf("kv"), "READY");
  EXPECT_EQ(clock.Now(), before);
  EXPECT_EQ(Status("kv").restarts, 1U);
}

TEST_F(RestartTest, TheDelayCountsFromTheDeathAndJitterMovesIt) {
  jitter = 1.0;
  BootWith("kv");
  Crash("kv");
  Advance(milliseconds(249));
  EXPECT_EQ(StateOf("kv"), "BACKOFF");
  Advance(milliseconds(1));
  EXPECT_EQ(StateOf("kv"), "READY");
}

TEST_F(RestartTest, ACrashLoopIsQuarantinedAndTriedAgainHalfOpen) {
  keeper.habits("kv").ends_at_once = ExitStatus{.code = 1};
  BootWith("kv");
  Advance(milliseconds(200 + 400 + 800 + 1600));
  EXPECT_EQ(StateOf("kv"), "QUARANTINED");
  EXPECT_THAT(ReasonOf("kv"), HasSubstr("crash loop: "));
  EXPECT_EQ(keeper.spawns("kv"), 5);
  for (const Duration pause :
       std::vector<Duration>{minutes(5), minutes(15), minutes(30), minutes(60), minutes(60)}) {
    EXPECT_EQ(Status("kv").next_start_at, clock.WallNow() + pause);
    const int before = keeper.spawns("kv");
    Advance(pause - milliseconds(1));
    EXPECT_EQ(keeper.spawns("kv"), before);
    Advance(milliseconds(1));
    EXPECT_EQ(keeper.spawns("kv"), before + 1);
    EXPECT_EQ(StateOf("kv"), "QUARANTINED");
  }
  keeper.habits("kv").ends_at_once.reset();
  Advance(minutes(60));
  EXPECT_EQ(StateOf("kv"), "READY");
}

TEST_F(RestartTest, AnOperatorsStartEndsQuarantineAndBeginsTheCountAnew) {
  keeper.habits("kv").ends_at_once = ExitStatus{.code = 1};
  BootWith("kv");
  Advance(seconds(3));
  ASSERT_EQ(StateOf("kv"), "QUARANTINED");
  ASSERT_TRUE(supervisor().StartPlugin("kv").ok());
  Settle();
  EXPECT_EQ(StateOf("kv"), "BACKOFF");
  EXPECT_EQ(Status("kv").recent_failures, 1U);
  EXPECT_EQ(Status("kv").next_start_at, clock.WallNow() + milliseconds(200));
}

TEST_F(RestartTest, AnOperatorsStartEndsABackoffAndAFailure) {
  Add("kv");
  const TempDir programs;  // memory is often mounted noexec
  Add("broken").command = {programs.Path("nowhere")};
  Boot();
  Crash("kv");
  ASSERT_EQ(StateOf("kv"), "BACKOFF");
  ASSERT_TRUE(supervisor().StartPlugin("kv").ok());
  Settle();
  EXPECT_EQ(StateOf("kv"), "READY");

  ASSERT_EQ(StateOf("broken"), "FAILED");
  programs.Write("nowhere", "#!/bin/sh\n", 0755);
  ASSERT_TRUE(supervisor().StartPlugin("broken").ok());
  Settle();
  EXPECT_EQ(StateOf("broken"), "READY");
}

TEST_F(RestartTest, QuarantineCanBeTurnedOff) {
  keeper.habits("kv").ends_at_once = ExitStatus{.code = 1};
  config.daemon.restarts_per_second = 0;
  Add("kv").quarantine.failures = 0;
  config.plugins["kv"].backoff = {
      .initial = milliseconds(10), .max = milliseconds(10), .stable = seconds(60)};
  Boot();
  Advance(seconds(1));
  EXPECT_EQ(StateOf("kv"), "BACKOFF");
  EXPECT_GT(keeper.spawns("kv"), 90);
}

// ── The `restart` setting

struct RestartCase {
  config::Restart restart;
  ExitStatus status;
  std::string state;
  std::string reason;
};

TEST_F(RestartTest, TheSettingDecidesByTheKindOfExit) {
  const ExitStatus clean;
  const ExitStatus failed{.code = 1};
  const ExitStatus shot{.signal = 9};
  const ExitStatus out_of_memory{.signal = 9, .oom = true};
  using config::Restart;
  for (const RestartCase& test : std::vector<RestartCase>{
           {Restart::kAlways, clean, "BACKOFF", "exit code 0"},
           {Restart::kAlways, failed, "BACKOFF", "exit code 1"},
           {Restart::kAlways, shot, "BACKOFF", "killed by signal 9 (Killed)"},
           {Restart::kOnFailure, clean, "STOPPED", "finished: exit code 0"},
           {Restart::kOnFailure, failed, "BACKOFF", "exit code 1"},
           {Restart::kOnFailure, out_of_memory, "BACKOFF",
            "killed by signal 9 (Killed), out of memory"},
           {Restart::kNever, clean, "STOPPED", "finished: exit code 0"},
           {Restart::kNever, failed, "FAILED", "exit code 1; restart = \"never\""},
           {Restart::kNever, shot, "FAILED", "killed by signal 9 (Killed); restart = \"never\""}}) {
    World world;
    world.Add("kv").restart = test.restart;
    world.Boot();
    world.keeper.Exit("kv", test.status);
    world.Settle();
    EXPECT_EQ(ToString(world.Status("kv").state), test.state) << test.reason;
    EXPECT_EQ(world.Status("kv").reason, test.reason);
  }
}

TEST_F(RestartTest, NeverMeansNotAfterAFailedStartEither) {
  keeper.habits("kv").prints = "";
  Add("kv").restart = config::Restart::kNever;
  Boot();
  Advance(seconds(10));
  EXPECT_EQ(StateOf("kv"), "FAILED");
  EXPECT_THAT(ReasonOf("kv"), HasSubstr("not READY within 10 s"));
}

TEST_F(RestartTest, AFinishedPluginStaysFinishedAcrossPlugindsDeathAndStartsWhenAsked) {
  BootWith("job");
  keeper.Exit("job", {});
  Settle();
  ASSERT_EQ(StateOf("job"), "STOPPED");
  KillPlugind();
  Boot();
  EXPECT_EQ(StateOf("job"), "STOPPED");
  EXPECT_EQ(ReasonOf("job"), "finished: exit code 0");
  ASSERT_TRUE(supervisor().StartPlugin("job").ok());
  Settle();
  EXPECT_EQ(StateOf("job"), "READY");
}

// ── The budget of all plugins together

class BudgetTest : public RestartTest {
 protected:
  static std::string Name(int i) {
    return "p" + std::string(i < 10 ? "0" : "") + std::to_string(i);
  }
  int Count(State state) {
    int count = 0;
    supervisor().CountStates([&](State each) { count += each == state ? 1 : 0; });
    return count;
  }
};

TEST_F(BudgetTest, FirstStartsAreNotLimited) {
  for (int i = 0; i < 50; ++i) Add(Name(i));
  Boot();
  EXPECT_EQ(Count(State::kReady), 50);
}

TEST_F(BudgetTest, ElevenThatDieTogetherStartAgainTenNowAndOneAHundredMillisecondsLater) {
  for (int i = 0; i < 11; ++i) Add(Name(i)).backoff.initial = Duration::zero();
  Boot();
  for (int i = 0; i < 11; ++i) keeper.Exit(Name(i), {.signal = 9});
  Settle();
  EXPECT_EQ(Count(State::kReady), 10);
  EXPECT_EQ(Count(State::kWaiting), 1);
  EXPECT_EQ(ReasonOf("p10"), "waits for the restart budget (10 a second for all plugins)");
  Advance(milliseconds(99));
  EXPECT_EQ(Count(State::kReady), 10);
  Advance(milliseconds(1));
  EXPECT_EQ(Count(State::kReady), 11);
}

TEST_F(BudgetTest, AHundredThatDieTogetherAreBackInNineSeconds) {
  for (int i = 0; i < 100; ++i) Add(Name(i)).backoff.initial = Duration::zero();
  Boot();
  for (int i = 0; i < 100; ++i) keeper.Exit(Name(i), {.signal = 9});
  Settle();
  for (int ready = 10; ready <= 100; ready += 10, Advance(seconds(1))) {
    EXPECT_EQ(Count(State::kReady), ready);
  }
}

TEST_F(BudgetTest, OneThatDiesAgainAndAgainStarvesNobody) {
  config.daemon.restarts_per_second = 2;
  for (int i = 0; i < 10; ++i) {
    Add(Name(i)).backoff.initial = Duration::zero();
    config.plugins[Name(i)].quarantine.failures = 0;
  }
  Boot();
  for (int i = 0; i < 10; ++i) keeper.Exit(Name(i), {.signal = 9});
  Settle();
  // p00 takes as much of the budget as it can get: it waits behind all that have waited longer.
  for (int i = 0; i < 100 && Count(State::kReady) < 9; ++i) {
    if (StateOf("p00") == "READY") Crash("p00");
    Advance(milliseconds(100));
  }
  for (int i = 1; i < 10; ++i) EXPECT_EQ(StateOf(Name(i)), "READY") << i;
  EXPECT_LE(keeper.spawns("p00"), 4);
}

TEST_F(BudgetTest, AnOperatorsStartIsNotLimited) {
  config.daemon.restarts_per_second = 1;
  for (int i = 0; i < 3; ++i) Add(Name(i)).backoff.initial = Duration::zero();
  Boot();
  for (int i = 0; i < 3; ++i) keeper.Exit(Name(i), {.signal = 9});
  Settle();
  EXPECT_EQ(Count(State::kReady), 1);
  ASSERT_TRUE(supervisor().StartPlugin("p02").ok());
  Settle();
  EXPECT_EQ(StateOf("p02"), "READY");
  EXPECT_EQ(StateOf("p01"), "WAITING");
}

TEST_F(BudgetTest, ABudgetOfZeroIsNone) {
  config.daemon.restarts_per_second = 0;
  for (int i = 0; i < 40; ++i) Add(Name(i)).backoff.initial = Duration::zero();
  Boot();
  for (int i = 0; i < 40; ++i) keeper.Exit(Name(i), {.signal = 9});
  Settle();
  EXPECT_EQ(Count(State::kReady), 40);
}

}  // namespace
}  // namespace plugind::supervisor
