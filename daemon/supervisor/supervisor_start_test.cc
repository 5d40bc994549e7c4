// A plugin's way to READY, phase by phase, and every way in which it can fail.

#include <sys/resource.h>

#include <cerrno>
#include <filesystem>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "daemon/supervisor/testing/core_fixture.h"

namespace plugind::supervisor {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::ElementsAre;
using testing::HasSubstr;

class StartTest : public CoreTest {};

TEST_F(StartTest, GoesThroughEveryPhaseToReady) {
  keeper.habits("kv").prints = "";
  keeper.hold_reports = true;
  manners("kv").health = false;
  BootWith("kv");
  EXPECT_EQ(StateOf("kv"), "STARTING");
  EXPECT_EQ(PhaseOf("kv"), "spawn");
  EXPECT_EQ(Status("kv").pid, 0);

  keeper.hold_reports = false;
  Settle();
  EXPECT_EQ(PhaseOf("kv"), "handshake");
  EXPECT_EQ(Status("kv").pid, keeper.process("kv").pid);
  EXPECT_EQ(Status("kv").instance, keeper.process("kv").id);
  EXPECT_EQ(Status("kv").direct_address, "");

  keeper.Print("kv", HandshakeOf("kv"));
  Settle();
  EXPECT_EQ(PhaseOf("kv"), "warm-up");
  EXPECT_EQ(Status("kv").direct_address,
            "unix:" + directories.Instance(Status("kv").instance) + "/p.sock");
  EXPECT_EQ(Status("kv").protocol_version, 1U);
  EXPECT_EQ(manners("kv").endpoint.pid, Status("kv").pid);

  manners("kv").health = true;
  Advance(milliseconds(100));
  EXPECT_EQ(StateOf("kv"), "READY");
  EXPECT_EQ(PhaseOf("kv"), "");
  EXPECT_EQ(Status("kv").restarts, 0U);
  EXPECT_TRUE(Status("kv").ready_at);
  EXPECT_THAT(Events("kv"), ElementsAre("waiting", "starting", "spawned", "ready"));
}

TEST_F(StartTest, TakesNoTimeOfItsOwn) {
  const Instant begin = clock.Now();
  BootWith("kv");
  EXPECT_EQ(StateOf("kv"), "READY");
  EXPECT_EQ(clock.Now(), begin);
}

TEST_F(StartTest, EverythingIsRecordedBeforeItTakesEffect) {
  BootWith("kv");
  // FakeKeeper::Spawn has checked that the record named the instance; here, that nothing else was
  // done.
  EXPECT_THAT(CommandsSince(0), ElementsAre("KeepFd events", "KeepFd log:kv", "Spawn kv"));
  const auto record = keeper.record("kv");
  ASSERT_TRUE(record);
  EXPECT_EQ(record->state, State::kReady);
  EXPECT_EQ(record->pid, keeper.process("kv").pid);
  EXPECT_TRUE(record->wanted);
}

TEST_F(StartTest, TheHandshakeLineIsNoLogLineAndAllOtherOutputIs) {
  keeper.habits("kv").prints = "hello\n1|1|unix|{DIR}/p.sock|grpc|\nlistening\n";
  BootWith("kv");
  EXPECT_EQ(StateOf("kv"), "READY");
  keeper.PrintError("kv", "to stderr\n");
  Settle();
  plugind->clients.Output("kv", false, "over gRPC\n");
  Settle();
  std::vector<std::string> lines;
  for (const auto& entry : Log("kv")) lines.push_back(entry.message);
  EXPECT_THAT(lines, ElementsAre("hello", "listening", "to stderr", "over gRPC"));
}

TEST_F(StartTest, AHandshakeMayComeInPieces) {
  keeper.habits("kv").prints = "";
  BootWith("kv");
  for (const char c : HandshakeOf("kv")) {
    EXPECT_EQ(PhaseOf("kv"), "handshake");
    keeper.Print("kv", std::string(1, c));
    Settle();
  }
  EXPECT_EQ(StateOf("kv"), "READY");
}

TEST_F(StartTest, ASecondHandshakeLineIsALogLine) {
  keeper.habits("kv").prints = "1|1|unix|{DIR}/p.sock|grpc\n1|1|unix|{DIR}/q.sock|grpc\n";
  BootWith("kv");
  EXPECT_EQ(StateOf("kv"), "READY");
  EXPECT_THAT(Status("kv").direct_address, HasSubstr("p.sock"));
  EXPECT_EQ(Log("kv").size(), 1U);
}

TEST_F(StartTest, APluginThatServesBeforeItSaysServingIsAskedOftenMeanwhile) {
  manners("kv").health = false;
  manners("kv").watch = absl::UnimplementedError("no Watch");
  BootWith("kv");
  const int before = manners("kv").checks;
  Advance(seconds(1));
  EXPECT_EQ(manners("kv").checks - before, 10);
  EXPECT_EQ(StateOf("kv"), "STARTING");
}

// ── Failures for good

TEST_F(StartTest, AMissingProgramFailsWithItsNameAndIsNotTriedAgain) {
  Add("kv").command = {dir.Path("nowhere")};
  Boot();
  EXPECT_EQ(StateOf("kv"), "FAILED");
  EXPECT_EQ(ReasonOf("kv"), "cannot execute " + dir.Path("nowhere") + ": no such file");
  EXPECT_EQ(keeper.spawns("kv"), 0);
  Advance(std::chrono::hours(2));
  EXPECT_EQ(StateOf("kv"), "FAILED");
  EXPECT_THAT(Events("kv"), ElementsAre("waiting", "starting", "failed"));
}

TEST_F(StartTest, AnExecThatCanNeverWorkFailsForGood) {
  const TempDir programs;  // memory is often mounted noexec
  Add("kv").command = {programs.Write("plugin", "#!/no/such\n", 0755)};
  keeper.habits("kv").spawn_error = {SpawnStep::kExec, ENOENT};
  Boot();
  EXPECT_EQ(StateOf("kv"), "FAILED");
  EXPECT_THAT(ReasonOf("kv"), HasSubstr("no such interpreter: /no/such"));
  EXPECT_EQ(Status("kv").instance, "");
}

TEST_F(StartTest, ARefusedHandshakeStopsItAndFailsForGood) {
  for (const auto& [line, says] : std::vector<std::pair<std::string, std::string>>{
           {"2|1|unix|{DIR}/p.sock|grpc\n", "core protocol version 2"},
           {"1|9|unix|{DIR}/p.sock|grpc\n", "speaks protocol version 9"},
           {"1|1|unix|{DIR}/p.sock|netrpc\n", "speaks netrpc"},
           {"1|1|unix|/tmp/p.sock|grpc\n", "lies outside the directory made for it"},
           {"1|1|tcp|127.0.0.1:80|grpc\n", "which its configuration does not allow"},
           {"1|1|unix|{DIR}/p.sock|grpc|!!\n", "certificate (field 6)"}}) {
    World world;
    world.keeper.habits("kv").prints = line;
    world.Add("kv");
    world.Boot();
    EXPECT_EQ(world.Status("kv").state, State::kFailed) << line;
    EXPECT_THAT(world.Status("kv").reason, HasSubstr(says));
    EXPECT_EQ(world.keeper.process_count(), 0U);
    EXPECT_THAT(world.Events("kv"),
                ElementsAre("waiting", "starting", "spawned", "start-failed", "failed"))
        << line;
    // Its author finds the line in the log.
    ASSERT_FALSE(world.Log("kv").empty());
  }
}

TEST_F(StartTest, WhatIsNotThePluginsSocketFailsForGood) {
  manners("kv").connect = absl::FailedPreconditionError("it is a plain file, not a socket");
  BootWith("kv");
  EXPECT_EQ(StateOf("kv"), "FAILED");
  EXPECT_EQ(ReasonOf("kv"), "it is a plain file, not a socket");
}

TEST_F(StartTest, APluginWithoutTheHealthServiceFailsForGood) {
  manners("kv").health = absl::UnimplementedError("");
  BootWith("kv");
  EXPECT_EQ(StateOf("kv"), "FAILED");
  EXPECT_EQ(ReasonOf("kv"), "it does not serve grpc.health.v1.Health");
}

// ── Failures that may pass

TEST_F(StartTest, AMachineShortOfProcessesIsTriedAgain) {
  keeper.habits("kv").spawn_error = {SpawnStep::kFork, EAGAIN};
  BootWith("kv");
  EXPECT_EQ(StateOf("kv"), "BACKOFF");
  EXPECT_EQ(ReasonOf("kv"), "cannot spawn: fork: Resource temporarily unavailable");
  keeper.habits("kv").spawn_error.reset();
  Advance(milliseconds(200));
  EXPECT_EQ(StateOf("kv"), "READY");
}

TEST_F(StartTest, APlugindShortOfFdsTriesAgain) {
  BootWith("kv");
  keeper.Exit("kv", {.signal = 9});
  Settle();
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  rlimit none = before;
  none.rlim_cur = 0;
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
  Advance(milliseconds(200));
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
  EXPECT_EQ(StateOf("kv"), "BACKOFF");
  EXPECT_EQ(ReasonOf("kv"), "cannot execute /bin/true: Too many open files");
  Advance(milliseconds(400));
  EXPECT_EQ(StateOf("kv"), "READY");
}

TEST_F(StartTest, AnEndDuringAPhaseIsToldWithThePhaseAndTheLastWords) {
  keeper.habits("kv").prints = "";
  BootWith("kv");
  keeper.PrintError("kv", "reading settings\nno such table: users\n");
  keeper.Exit("kv", {.code = 3});
  Settle();
  EXPECT_EQ(StateOf("kv"), "BACKOFF");
  EXPECT_EQ(ReasonOf("kv"),
            "ended at the phase \"handshake\": exit code 3; its last words: no such table: users");
  ASSERT_TRUE(Status("kv").last_exit);
  EXPECT_EQ(Status("kv").last_exit->status, (ExitStatus{.code = 3}));
}

TEST_F(StartTest, ARefusedHandshakeIsToldWithWhatThePluginSaidBeforeIt) {
  keeper.habits("kv").prints = "";
  BootWith("kv");
  keeper.Print("kv", "1|7|unix|{DIR}/p.sock|grpc\n");
  keeper.PrintError("kv", "kv serves protocol versions 7, 8; its host offers 1\n");
  Settle();
  EXPECT_EQ(StateOf("kv"), "FAILED");
  EXPECT_EQ(ReasonOf("kv"),
            "the plugin speaks protocol version 7; its configuration offers 1; its last words: "
            "kv serves protocol versions 7, 8; its host offers 1");
}

TEST_F(StartTest, AnExitWithZeroBeforeReadyIsAFailureToo) {
  keeper.habits("kv").prints = "";
  keeper.habits("kv").ends_at_once = ExitStatus{};
  BootWith("kv");
  EXPECT_EQ(StateOf("kv"), "BACKOFF");
  EXPECT_THAT(ReasonOf("kv"), HasSubstr("exit code 0"));
}

TEST_F(StartTest, StdoutClosedBeforeTheHandshakeIsSaidAfterAMomentForItsDeath) {
  keeper.habits("kv").prints = "";
  BootWith("kv");
  keeper.process("kv").stdout_writer.reset();
  Settle();
  EXPECT_EQ(StateOf("kv"), "STARTING");
  Advance(milliseconds(250));
  EXPECT_EQ(StateOf("kv"), "BACKOFF");
  EXPECT_EQ(ReasonOf("kv"), "it closed its stdout before the handshake");
}

TEST_F(StartTest, StdoutClosedByItsDeathIsToldAsItsDeath) {
  keeper.habits("kv").prints = "";
  BootWith("kv");
  keeper.process("kv").stdout_writer.reset();
  Settle();
  Advance(milliseconds(10));
  keeper.Exit("kv", {.signal = 11, .core = true});
  Settle();
  EXPECT_THAT(ReasonOf("kv"), HasSubstr("killed by signal 11 (Segmentation fault), core dumped"));
}

TEST_F(StartTest, TooMuchBeforeTheHandshakeIsToldAndStopsIt) {
  std::string noise;
  for (int i = 0; i < 65; ++i) noise += "noise\n";
  keeper.habits("kv").prints = noise;
  BootWith("kv");
  EXPECT_EQ(StateOf("kv"), "BACKOFF");
  EXPECT_EQ(ReasonOf("kv"), "more than 64 lines on stdout before the handshake");
}

TEST_F(StartTest, SixtyFourLinesBeforeTheHandshakeAreAllowed) {
  std::string output;
  for (int i = 0; i < 64; ++i) output += "noise\n";
  keeper.habits("kv").prints = output + "1|1|unix|{DIR}/p.sock|grpc\n";
  BootWith("kv");
  EXPECT_EQ(StateOf("kv"), "READY");
}

TEST_F(StartTest, AnOverlongLineBeforeTheHandshakeStopsIt) {
  keeper.habits("kv").prints = std::string(40'000, 'x');
  BootWith("kv");
  EXPECT_EQ(StateOf("kv"), "BACKOFF");
  EXPECT_EQ(ReasonOf("kv"), "an overlong line on stdout before the handshake");
}

TEST_F(StartTest, HealthThatFailsWhileWarmingUpEndsTheStartAtItsDeadlineOnly) {
  manners("kv").health = absl::InternalError("database locked");
  BootWith("kv");
  Advance(seconds(10) - milliseconds(1));
  EXPECT_EQ(StateOf("kv"), "STARTING");
  Advance(milliseconds(1));
  EXPECT_EQ(StateOf("kv"), "BACKOFF");
  EXPECT_EQ(ReasonOf("kv"),
            "not READY within 10 s; it was at the phase \"warm-up\"; its health: database locked");
}

TEST_F(StartTest, TheDeadlineNamesThePhase) {
  const auto silent = [](World& world) { world.keeper.habits("kv").prints = ""; };
  const auto deaf = [](World& world) { world.plugins.manners["kv"].connect_hangs = true; };
  const auto cold = [](World& world) { world.plugins.manners["kv"].health = false; };
  for (const auto& [phase, arrange] :
       std::vector<std::pair<std::string, std::function<void(World&)>>>{
           {"handshake", silent}, {"connect", deaf}, {"warm-up", cold}}) {
    World world;
    arrange(world);
    world.Add("kv").start_timeout = milliseconds(1500);
    world.Boot();
    world.Advance(milliseconds(1499));
    EXPECT_EQ(world.Status("kv").state, State::kStarting) << phase;
    EXPECT_EQ(ToString(world.Status("kv").phase), phase);
    world.Advance(milliseconds(1));
    EXPECT_EQ(world.Status("kv").state, State::kBackoff) << phase;
    EXPECT_EQ(world.Status("kv").reason,
              "not READY within 1.5 s; it was at the phase \"" + phase + "\"");
    EXPECT_EQ(world.keeper.process_count(), 0U);
  }
}

TEST_F(StartTest, ASpawnThatIsNotAnsweredMeetsTheDeadlineToo) {
  keeper.hold_reports = true;
  BootWith("kv");
  Advance(seconds(10));
  EXPECT_EQ(StateOf("kv"), "STOPPING");
  EXPECT_EQ(ReasonOf("kv"), "not READY within 10 s; it was at the phase \"spawn\"");
  keeper.hold_reports = false;
  Settle();
  EXPECT_EQ(StateOf("kv"), "BACKOFF");
  EXPECT_EQ(keeper.process_count(), 0U);
}

TEST_F(StartTest, NothingIsLeftOfAProcessThatIsGone) {
  BootWith("kv");
  const std::string directory = directories.Instance(Status("kv").instance);
  EXPECT_TRUE(std::filesystem::exists(directory));
  keeper.Exit("kv", {.signal = 9});
  Settle();
  EXPECT_EQ(StateOf("kv"), "BACKOFF");
  EXPECT_FALSE(std::filesystem::exists(directory));
  EXPECT_EQ(keeper.process_count(), 0U);
  EXPECT_EQ(plugind->clients.size(), 0U);
  EXPECT_EQ(Status("kv").pid, 0);
  EXPECT_EQ(Status("kv").instance, "");
  EXPECT_EQ(Status("kv").direct_address, "");
}

TEST_F(StartTest, LeftoversInTheRuntimeDirectoryAreSweptAtTheStart) {
  std::filesystem::create_directories(directories.Instance("deadbeef") + "/sub");
  BootWith("kv");
  EXPECT_FALSE(std::filesystem::exists(directories.Instance("deadbeef")));
  EXPECT_TRUE(std::filesystem::exists(directories.Instance(Status("kv").instance)));
}

}  // namespace
}  // namespace plugind::supervisor
