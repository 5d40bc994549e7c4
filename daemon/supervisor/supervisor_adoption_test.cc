// plugind is killed, at every place where it tells the keeper something, and the next one goes on.

#include <absl/strings/escaping.h>
#include <fcntl.h>

#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "daemon/supervisor/testing/core_fixture.h"
#include "daemon/tls/testing/server.h"

namespace plugind::supervisor {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;
using testing::ElementsAre;
using testing::HasSubstr;

class AdoptionTest : public CoreTest {
 protected:
  void Replace() {
    KillPlugind();
    Boot();
  }
};

// ── State by state

TEST_F(AdoptionTest, WhatIsReadyNoticesNothing) {
  Add("kv");
  Add("web").after = {"kv"};
  Boot();
  const auto before = Status("kv");
  for (int i = 0; i < 3; ++i) {
    Replace();
    EXPECT_EQ(StateOf("kv"), "READY");
    EXPECT_EQ(StateOf("web"), "READY");
    EXPECT_EQ(Status("kv").pid, before.pid);
    EXPECT_EQ(Status("kv").instance, before.instance);
    EXPECT_EQ(Status("kv").ready_at, before.ready_at);
    EXPECT_EQ(Status("kv").restarts, 0U);
    EXPECT_EQ(Status("kv").direct_address, before.direct_address);
    EXPECT_EQ(Events("kv").back(), "adopted");
  }
  EXPECT_EQ(keeper.spawns("kv"), 1);
  EXPECT_EQ(manners("kv").connects, 4);
}

TEST_F(AdoptionTest, UnderAutoMtlsASuccessorSpeaksAsTheSameHost) {
  Add("kv").auto_mtls = true;
  keeper.habits("kv").prints = "";
  Boot();
  std::string error;
  const auto plugin = tls::MakeIdentity(clock.WallNow(), &error);
  ASSERT_TRUE(plugin) << error;
  std::string line = HandshakeOf("kv");
  line.pop_back();  // the newline
  keeper.Print("kv", line + "|" + absl::Base64Escape(tls::testing::DerOf(*plugin)) + "\n");
  Settle();
  EXPECT_EQ(StateOf("kv"), "READY");
  const auto client = manners("kv").endpoint.tls;
  ASSERT_NE(client, nullptr);
  EXPECT_EQ(client->peer(), tls::testing::DerOf(*plugin));
  EXPECT_EQ(Status("kv").tls, client);
  const auto before = keeper.record("kv");
  ASSERT_TRUE(before && before->identity);

  Replace();
  EXPECT_EQ(StateOf("kv"), "READY");
  EXPECT_EQ(keeper.spawns("kv"), 1);
  ASSERT_NE(manners("kv").endpoint.tls, nullptr);
  EXPECT_NE(manners("kv").endpoint.tls, client);
  EXPECT_EQ(manners("kv").endpoint.tls->peer(), client->peer());
  EXPECT_EQ(keeper.record("kv")->identity, before->identity);

  // The next process gets a certificate of its own.
  keeper.Exit("kv", {});
  keeper.Gone("kv");
  Settle();
  EXPECT_EQ(Status("kv").tls, nullptr);
  EXPECT_NE(keeper.record("kv")->identity, before->identity);
}

TEST_F(AdoptionTest, HealthIsWatchedOnAndItsLossSeen) {
  BootWith("kv");
  Replace();
  plugind->clients.Push("kv", false);
  Settle();
  EXPECT_EQ(StateOf("kv"), "UNREADY");
  manners("kv").health_hangs = true;
  Advance(seconds(22));
  EXPECT_EQ(keeper.spawns("kv"), 2);
}

TEST_F(AdoptionTest, APluginThatNobodyCanConnectToAnyMoreIsRestarted) {
  BootWith("kv");
  KillPlugind();
  manners("kv").connect_hangs = true;
  Boot();
  EXPECT_EQ(StateOf("kv"), "READY");
  manners("kv").connect_hangs = false;
  Advance(seconds(6));
  EXPECT_EQ(StateOf("kv"), "BACKOFF");
  EXPECT_EQ(ReasonOf("kv"), "nobody listens at its address");
}

TEST_F(AdoptionTest, AStableRunCountsFromItsBeginningNotFromTheAdoption) {
  BootWith("kv");
  Advance(seconds(50));
  Replace();
  Advance(seconds(10));
  keeper.Exit("kv", {.signal = 9});
  Settle();
  EXPECT_EQ(StateOf("kv"), "READY") << "at once: it had been READY for 60 s";
}

TEST_F(AdoptionTest, AStartGoesOnAtItsPhaseWithItsOwnDeadline) {
  for (const std::string phase :
       {"spawn", "handshake", "connect", "negotiate", "configure", "warm-up"}) {
    World world;
    Manners& manners = world.plugins.manners["kv"];
    if (phase == "handshake") world.keeper.habits("kv").prints = "";
    manners.connect_hangs = phase == "connect";
    manners.negotiate_hangs = phase == "negotiate";
    manners.configure_hangs = phase == "configure";
    if (phase == "configure") manners.answer = PluginAnswer();
    manners.health = phase != "warm-up";
    world.keeper.hold_reports = phase == "spawn";
    world.Add("kv");
    world.Boot();
    ASSERT_EQ(ToString(world.Status("kv").phase), phase);
    world.Advance(seconds(4));
    world.KillPlugind();
    world.keeper.hold_reports = false;
    world.Boot();
    EXPECT_EQ(world.keeper.spawns("kv"), 1) << phase;
    if (phase == "spawn") {
      EXPECT_EQ(world.Status("kv").state, State::kReady);
      continue;
    }
    EXPECT_EQ(ToString(world.Status("kv").phase), phase);
    world.Advance(seconds(6) - milliseconds(1));
    EXPECT_EQ(world.Status("kv").state, State::kStarting) << phase;
    world.Advance(milliseconds(1));
    EXPECT_EQ(world.Status("kv").state, State::kBackoff) << phase;
  }
}

TEST_F(AdoptionTest, AHandshakeThatWasReadButNotRecordedIsReadAgain) {
  keeper.habits("kv").prints = "";
  BootWith("kv");
  keeper.Print("kv", "noise\n" + HandshakeOf("kv"));
  keeper.KillPlugindAfter(Now());
  EXPECT_THROW(Settle(), PlugindKilled);
  Replace();
  EXPECT_EQ(StateOf("kv"), "READY");
  ASSERT_EQ(Log("kv").size(), 1U);
  EXPECT_EQ(Log("kv")[0].message, "noise");
}

TEST_F(AdoptionTest, HalfALineIsPutTogetherAcrossPlugindsDeath) {
  keeper.habits("kv").prints = "";
  BootWith("kv");
  const std::string line = HandshakeOf("kv");
  keeper.Print("kv", line.substr(0, 10));
  Settle();
  Replace();
  keeper.Print("kv", line.substr(10));
  Settle();
  EXPECT_EQ(StateOf("kv"), "READY");
}

TEST_F(AdoptionTest, ADeathThatNobodySawIsSeen) {
  BootWith("kv");
  KillPlugind();
  keeper.PrintError("kv", "last words\n");
  keeper.Exit("kv", {.code = 3});
  clock.Advance(seconds(5));
  Boot();
  EXPECT_EQ(StateOf("kv"), "BACKOFF");
  ASSERT_TRUE(Status("kv").last_exit);
  EXPECT_EQ(Status("kv").last_exit->status, (ExitStatus{.code = 3}));
  EXPECT_EQ(Status("kv").last_exit->at, clock.WallNow() - seconds(5));
  EXPECT_EQ(Log("kv").back().message, "last words");
  EXPECT_EQ(keeper.process_count(), 0U);
}

TEST_F(AdoptionTest, ADeathWhoseTreeIsStillThereIsWaitedFor) {
  keeper.habits("kv").leaves_descendants = true;
  BootWith("kv");
  KillPlugind();
  keeper.Exit("kv", {.code = 3});
  Boot();
  EXPECT_EQ(StateOf("kv"), "STOPPING");
  EXPECT_EQ(ReasonOf("kv"), "exit code 3");
  keeper.Gone("kv");
  Settle();
  EXPECT_EQ(StateOf("kv"), "BACKOFF");
}

TEST_F(AdoptionTest, ADeathThatWasRecordedAndNotYetActedOnIsNotTakenForLife) {
  keeper.habits("kv").leaves_descendants = true;
  BootWith("kv");
  keeper.Exit("kv", {.code = 3});
  keeper.KillPlugindAfter(Now() + 1);  // the exit is on record, the sweep is not asked for
  EXPECT_THROW(Settle(), PlugindKilled);
  ASSERT_EQ(keeper.record("kv")->state, State::kStopping);
  Replace();
  EXPECT_EQ(StateOf("kv"), "STOPPING");
  EXPECT_EQ(ReasonOf("kv"), "exit code 3");
  keeper.Gone("kv");
  Settle();
  EXPECT_EQ(StateOf("kv"), "BACKOFF");
}

TEST_F(AdoptionTest, ABackoffKeepsItsDeadline) {
  BootWith("kv");
  keeper.Exit("kv", {.signal = 9});
  Settle();
  const Instant due = clock.Now() + milliseconds(200);
  Advance(milliseconds(50));
  Replace();
  EXPECT_EQ(StateOf("kv"), "BACKOFF");
  EXPECT_EQ(Status("kv").next_start_at, clock.WallNow() + milliseconds(150));
  Advance(due - clock.Now() - milliseconds(1));
  EXPECT_EQ(StateOf("kv"), "BACKOFF");
  Advance(milliseconds(1));
  EXPECT_EQ(StateOf("kv"), "READY");
  EXPECT_EQ(Status("kv").restarts, 1U);
}

TEST_F(AdoptionTest, ABackoffThatRanOutMeanwhileEndsAtOnce) {
  BootWith("kv");
  keeper.Exit("kv", {.signal = 9});
  Settle();
  KillPlugind();
  clock.Advance(seconds(10));
  Boot();
  EXPECT_EQ(StateOf("kv"), "READY");
}

TEST_F(AdoptionTest, ACrashLoopIsCountedOnAndQuarantineHolds) {
  keeper.habits("kv").ends_at_once = ExitStatus{.code = 1};
  BootWith("kv");
  for (const int delay : {200, 400, 800, 1600}) {
    Replace();
    ASSERT_EQ(StateOf("kv"), "BACKOFF");
    Advance(milliseconds(delay));
  }
  EXPECT_EQ(StateOf("kv"), "QUARANTINED");
  const Instant due = clock.Now() + minutes(5);
  Advance(minutes(2));
  Replace();
  EXPECT_EQ(StateOf("kv"), "QUARANTINED");
  EXPECT_EQ(keeper.spawns("kv"), 5);
  Advance(due - clock.Now());
  EXPECT_EQ(keeper.spawns("kv"), 6);
  EXPECT_EQ(Status("kv").next_start_at, clock.WallNow() + minutes(15));
}

TEST_F(AdoptionTest, AFailureStaysAFailure) {
  keeper.habits("kv").prints = "1|1|unix|{DIR}/p.sock|netrpc\n";
  BootWith("kv");
  const std::string reason = ReasonOf("kv");
  Replace();
  EXPECT_EQ(StateOf("kv"), "FAILED");
  EXPECT_EQ(ReasonOf("kv"), reason);
  EXPECT_EQ(keeper.spawns("kv"), 1);
}

TEST_F(AdoptionTest, AJumpOfTheWallClockMovesNoDeadline) {
  BootWith("kv");
  keeper.Exit("kv", {.signal = 9});
  Settle();
  clock.JumpWall(std::chrono::hours(-1));
  Replace();
  Advance(milliseconds(199));
  EXPECT_EQ(StateOf("kv"), "BACKOFF");
  clock.JumpWall(std::chrono::hours(2));
  Advance(milliseconds(1));
  EXPECT_EQ(StateOf("kv"), "READY");
}

TEST_F(AdoptionTest, TheLimitOfBeingUnreadyRunsOn) {
  Add("kv").health.unready_limit = seconds(30);
  Boot();
  manners("kv").health = false;
  plugind->clients.Push("kv", false);
  Advance(seconds(10));
  ASSERT_EQ(StateOf("kv"), "UNREADY");
  Replace();
  EXPECT_EQ(StateOf("kv"), "UNREADY");
  Advance(seconds(20) - milliseconds(1));
  EXPECT_EQ(StateOf("kv"), "UNREADY");
  Advance(milliseconds(1));
  EXPECT_EQ(StateOf("kv"), "BACKOFF");
}

// ── In the middle of a stop

TEST_F(AdoptionTest, AStopGoesOnAtItsRungWithItsDeadline) {
  keeper.habits("kv").obeys_sigterm = false;
  BootWith("kv");
  ASSERT_TRUE(supervisor().StopPlugin("kv").ok());
  Advance(seconds(4));
  Replace();
  EXPECT_EQ(StateOf("kv"), "STOPPING");
  Advance(seconds(6) - milliseconds(1));
  EXPECT_EQ(StateOf("kv"), "STOPPING");
  Advance(milliseconds(1));
  EXPECT_EQ(StateOf("kv"), "STOPPED");
  EXPECT_EQ(Status("kv").last_exit->status, (ExitStatus{.signal = 9}));
}

TEST_F(AdoptionTest, AStopInterruptedDuringTheShutdownCallStillGivesTheWholeGraceToSigterm) {
  manners("kv").shutdown_hangs = true;
  keeper.habits("kv").obeys_sigterm = false;
  BootWith("kv");
  ASSERT_TRUE(supervisor().StopPlugin("kv").ok());
  Settle();
  ASSERT_EQ(keeper.record("kv")->rung, StopRung::kShutdown);
  KillPlugind();
  clock.Advance(seconds(20));
  Boot();
  EXPECT_THAT(keeper.process("kv").signals, ElementsAre(15, 18));
  Advance(seconds(10) - milliseconds(1));
  EXPECT_EQ(StateOf("kv"), "STOPPING");
  Advance(milliseconds(1));
  EXPECT_EQ(StateOf("kv"), "STOPPED");
}

TEST_F(AdoptionTest, AStuckTreeStaysWithoutASecondCopy) {
  keeper.habits("kv").leaves_descendants = true;
  BootWith("kv");
  keeper.Exit("kv", {.signal = 9});
  keeper.ReportStuck("kv");
  Settle();
  KillPlugind();
  keeper.ReportStuck("kv");
  Boot();
  Advance(minutes(10));
  EXPECT_EQ(StateOf("kv"), "STOPPING");
  EXPECT_EQ(keeper.spawns("kv"), 1);
}

// ── What was left does not fit

TEST_F(AdoptionTest, ARecordThatDoesNotParseIsReportedAndItsProcessReplacedNotDoubled) {
  BootWith("kv");
  const int pid = Status("kv").pid;
  for (const std::string record : {"", "garbage", "\x01\x00\x00\x00truncated"}) {
    KillPlugind();
    keeper.records()["kv"] = record;
    Boot();
    EXPECT_THAT(plugind->reports, ElementsAre("plugin kv: the record left for it does not parse"));
    EXPECT_EQ(StateOf("kv"), "READY");
    EXPECT_NE(Status("kv").pid, pid);
    EXPECT_EQ(keeper.process_count(), 1U);
  }
}

TEST_F(AdoptionTest, AProcessThatNobodyKnowsIsKilledAndForgottenBeforeItsPluginStarts) {
  keeper.habits("kv").dies_of_sigkill = false;
  Add("kv");
  keeper.AddStray("kv");
  keeper.AddStray("unheard-of");
  Boot();
  EXPECT_FALSE(keeper.HasProcess("unheard-of"));
  EXPECT_EQ(StateOf("kv"), "WAITING");
  EXPECT_THAT(ReasonOf("kv"), HasSubstr("waits for the end of an earlier process"));
  EXPECT_EQ(keeper.spawns("kv"), 0);
  keeper.Exit("kv", {.signal = 9});
  Settle();
  EXPECT_EQ(StateOf("kv"), "READY");
  EXPECT_EQ(keeper.process_count(), 1U);
}

TEST_F(AdoptionTest, ALogThatDoesNotReopenIsBegunAnewAndReported) {
  BootWith("kv");
  keeper.fds()["log:kv"] = UniqueFd(::open("/dev/null", O_RDWR | O_CLOEXEC));
  Replace();
  ASSERT_EQ(plugind->reports.size(), 1U);
  EXPECT_THAT(plugind->reports[0], HasSubstr("plugin kv: its log is lost"));
  EXPECT_EQ(StateOf("kv"), "READY");
  keeper.PrintError("kv", "a line\n");
  Settle();
  EXPECT_EQ(Log("kv").size(), 1U);
  Replace();
  EXPECT_THAT(plugind->reports, ElementsAre());
  EXPECT_EQ(Log("kv").size(), 1U);
}

TEST_F(AdoptionTest, NoLogLineAndNoEventIsLostOrRenumbered) {
  BootWith("kv");
  for (int i = 0; i < 20; ++i) {
    keeper.Print("kv", "line " + std::to_string(i) + "\n");
    if (i % 3 == 0) Settle();
    if (i % 2 == 0) Replace();
  }
  Settle();
  const auto log = Log("kv");
  ASSERT_EQ(log.size(), 20U);
  for (size_t i = 0; i < log.size(); ++i) {
    EXPECT_EQ(log[i].sequence, i + 1);
    EXPECT_EQ(log[i].message, "line " + std::to_string(i));
  }
  const auto events = plugind->events->Read(1, 1000);
  for (size_t i = 0; i < events.size(); ++i) EXPECT_EQ(events[i].sequence, i + 1);
}

// ── At every command

// What happens to the plugins while no plugind is there.
enum class Meanwhile {
  kNothing,
  kAllDie,
  kAllDieLeavingDescendants,
};

// A day in the life of four plugins: db; kv after it, which serves the contract; crashy, which dies
// at every start; job, replaced and stopped.
class EveryCommand {
 public:
  EveryCommand() {
    for (const auto* name : {"crashy", "db", "job", "kv"}) {
      world_.Add(name).health.interval = minutes(1);  // fewer rounds
    }
    world_.config.plugins["kv"].after = {"db"};
    Manners& kv = world_.plugins.manners["kv"];
    kv.answer = PluginAnswer();
    kv.answer->capabilities = {{kConfigReload, {"1.0"}, false}, {kDrain, {"1.0"}, false}};
    kv.judge = [](const SettingsOffer& offer) -> absl::StatusOr<std::vector<Violation>> {
      if (offer.json == kRefused) return std::vector<Violation>{{"n", "is odd"}};
      return std::vector<Violation>();
    };
    world_.keeper.habits("crashy").ends_at_once = ExitStatus{.code = 1};
    world_.plugins.manners["job"].exits_on_shutdown = true;
  }

  // The number of commands of the whole day.
  size_t RunWhole() {
    Run();
    return world_.keeper.commands().size();
  }

  // Whether plugind was killed after `command` commands, and then again after `again` commands of
  // its successor.
  void RunKilled(size_t command, std::optional<size_t> again, Meanwhile meanwhile) {
    world_.keeper.KillPlugindAfter(command);
    EXPECT_THROW(Run(), PlugindKilled);
    Die(meanwhile);
    if (again) {
      world_.keeper.KillPlugindAfter(world_.keeper.commands().size() + *again);
      try {
        world_.Boot();
      } catch (const PlugindKilled&) {
      }
      world_.KillPlugind();
    }
    CheckSuccessor();
  }

 private:
  void Run() {
    World& w = world_;
    w.Boot();
    w.Advance(milliseconds(700));
    w.keeper.Exit("db", {.signal = 9});
    w.Advance(seconds(1));
    (void)w.supervisor().StopPlugin("kv");
    w.Settle();
    w.plugind->clients.Push("db", false);
    w.Settle();
    w.plugind->clients.Push("db", true);
    (void)w.supervisor().StartPlugin("kv");
    w.Settle();
    w.config.plugins["job"].env["A"] = "b";
    w.config.plugins["kv"].settings = R"({"n":2})";
    w.supervisor().Apply(w.config);
    w.Advance(seconds(2));
    w.config.plugins["kv"].settings = kRefused;
    w.supervisor().Apply(w.config);
    w.Settle();
    w.keeper.Exit("kv", {.signal = 9});
    w.Advance(seconds(1));
    w.config.plugins["kv"].settings = kLast;
    w.supervisor().Apply(w.config);
    w.Settle();
    (void)w.supervisor().RestartPlugin("db");
    w.Settle();
    (void)w.supervisor().StartPlugin("crashy");
    w.Settle();
    (void)w.supervisor().DisablePlugin("job");
    w.Settle();
  }

  void Die(Meanwhile meanwhile) {
    World& w = world_;
    if (w.plugind) w.KillPlugind();
    w.clock.Advance(milliseconds(30));
    if (meanwhile == Meanwhile::kNothing) return;
    for (const auto& [name, plugin] : w.config.plugins) {
      w.keeper.habits(name).leaves_descendants = meanwhile == Meanwhile::kAllDieLeavingDescendants;
      if (w.keeper.HasProcess(name) && w.keeper.IsAlive(w.keeper.process(name).id)) {
        w.keeper.Exit(name, {.signal = 11});
      }
    }
  }

  bool Allowed(const std::string& name) {
    const Decision decision = world_.plugind->decisions->Get(name);
    return decision.enabled.value_or(true) && !decision.stopped;
  }

  void CheckSuccessor() {
    World& w = world_;
    std::map<std::string, Record> left;
    std::map<std::string, int> living;  // READY, and nothing has happened to them
    for (const auto& [name, plugin] : w.config.plugins) {
      const auto record = w.keeper.record(name);
      if (!record) continue;
      left[name] = *record;
      const bool ready = record->state == State::kReady || record->state == State::kUnready;
      if (ready && w.keeper.IsAlive(record->instance) &&
          record->fingerprint == ProcessFingerprint(plugin)) {
        living[name] = record->pid;
      }
    }
    w.Boot();
    for (const auto& [name, record] : left) {
      const PluginStatus status = w.Status(name);
      const bool holds = record.state == State::kBackoff || record.state == State::kQuarantined;
      if (holds && Allowed(name) && record.retry_at > w.clock.Now()) {
        EXPECT_EQ(status.state, record.state) << name;
        EXPECT_EQ(status.next_start_at, w.clock.WallNow() + (record.retry_at - w.clock.Now()))
            << name;
      }
    }
    for (const auto& [name, pid] : living) {
      if (Allowed(name)) {
        EXPECT_EQ(w.Status(name).pid, pid) << name << " was replaced although it lived";
      }
    }
    // From here on nobody misbehaves, and nothing is configured that is refused.
    w.config.plugins["kv"].settings = kLast;
    w.supervisor().Apply(w.config);
    w.keeper.habits("crashy").ends_at_once.reset();
    for (const auto& [name, plugin] : w.config.plugins) {
      w.keeper.habits(name).leaves_descendants = false;
      if (w.keeper.HasProcess(name) && !w.keeper.IsAlive(w.keeper.process(name).id)) {
        w.keeper.Gone(name);
      }
    }
    w.Advance(minutes(61));
    for (const auto& [name, plugin] : w.config.plugins) {
      const PluginStatus status = w.Status(name);
      EXPECT_EQ(status.state, Allowed(name) ? State::kReady : State::kStopped)
          << name << " is " << ToString(status.state) << ": " << status.reason;
      EXPECT_EQ(static_cast<int>(status.restarts), std::max(0, w.keeper.spawns(name) - 1)) << name;
    }
    if (Allowed("kv")) {
      const PluginStatus kv = w.Status("kv");
      ASSERT_TRUE(kv.settings);
      EXPECT_EQ(kv.settings->refused, "");
      EXPECT_FALSE(kv.settings->pending);
      EXPECT_EQ(w.plugins.manners["kv"].settings.back().json, kLast);
      EXPECT_EQ(w.plugins.manners["kv"].settings.back().generation, kv.settings->generation);
    }
    size_t running = 0;
    w.supervisor().CountStates([&](State state) { running += HasProcess(state) ? 1U : 0U; });
    EXPECT_EQ(w.keeper.process_count(), running) << "a process is left that nobody owns";
    EXPECT_TRUE(w.plugind->reports.empty()) << w.plugind->reports.front();
    for (const auto& entry : std::filesystem::directory_iterator(w.directories.runtime + "/i")) {
      EXPECT_TRUE(w.keeper.IsAlive(entry.path().filename().string())) << entry.path();
    }
  }

  static constexpr char kRefused[] = R"({"n":3})";
  static constexpr char kLast[] = R"({"n":4})";

  World world_;
};

class EveryCommandTest : public testing::TestWithParam<Meanwhile> {};

TEST_P(EveryCommandTest, ThePlugindThatIsKilledThereIsReplacedByOneThatGoesOn) {
  const size_t commands = EveryCommand().RunWhole();
  ASSERT_GT(commands, 100U);
  for (size_t i = 0; i < commands && !HasFailure(); ++i) {
    SCOPED_TRACE("killed after " + std::to_string(i) + " commands");
    EveryCommand().RunKilled(i, std::nullopt, GetParam());
  }
}

TEST_P(EveryCommandTest, SoIsTheOneThatIsKilledWhileItTakesOver) {
  const size_t commands = EveryCommand().RunWhole();
  for (size_t i = 0; i < commands && !HasFailure(); i += 3) {
    const size_t again = i % 7;
    SCOPED_TRACE("killed after " + std::to_string(i) + " commands and " + std::to_string(again) +
                 " more");
    EveryCommand().RunKilled(i, again, GetParam());
  }
}

INSTANTIATE_TEST_SUITE_P(Meanwhile, EveryCommandTest,
                         testing::Values(Meanwhile::kNothing, Meanwhile::kAllDie,
                                         Meanwhile::kAllDieLeavingDescendants),
                         [](const auto& each) {
                           switch (each.param) {
                             case Meanwhile::kNothing:
                               return "NothingHappens";
                             case Meanwhile::kAllDie:
                               return "AllDie";
                             case Meanwhile::kAllDieLeavingDescendants:
                               return "AllDieLeavingDescendants";
                           }
                           return "";
                         });

}  // namespace
}  // namespace plugind::supervisor
