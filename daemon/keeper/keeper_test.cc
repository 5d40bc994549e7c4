// The whole plugind-keeper program, from outside; see keeper_harness.h.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "daemon/keeper/keeper_harness.h"
#include "daemon/keeper/proc.h"
#include "daemon/keeper/protocol.h"

namespace plugind::keeper {
namespace {

using ::testing::HasSubstr;

size_t OpenFds(int pid) {
  size_t count = 0;
  for ([[maybe_unused]] const auto& entry :
       std::filesystem::directory_iterator("/proc/" + std::to_string(pid) + "/fd")) {
    ++count;
  }
  return count;
}

int NumberAfter(const std::string& text, const std::string& key) {
  const size_t at = text.find(key + "=");
  return at == std::string::npos ? 0 : std::atoi(text.c_str() + at + key.size() + 1);
}

void WriteFile(const std::string& path, const std::string& text, mode_t mode = 0644) {
  std::ofstream(path) << text;
  ::chmod(path.c_str(), mode);
}

class KeeperTest : public ::testing::Test {
 protected:
  KeeperHarness keeper_;
};

TEST_F(KeeperTest, AProcessFindsTheSurroundingsThatWereOrdered) {
  keeper_.AwaitBrain();
  SpawnSpec spec = KeeperHarness::Spec("a", "report");
  spec.argv = {"other-name", "report", "two words"};
  spec.env = {"A=1", "EMPTY=", "PLUGIND_INSTANCE=a"};
  spec.working_directory = keeper_.directory();
  spec.nofile_limit = 333;
  Seen& seen = keeper_.Spawn(spec);
  const std::string text = keeper_.Read(seen.stdout_pipe);
  EXPECT_THAT(text, HasSubstr("argv[0]=other-name\nargv[1]=report\nargv[2]=two words\nenv:A=1\n"));
  EXPECT_THAT(text, HasSubstr("env:EMPTY=\nenv:PLUGIND_INSTANCE=a\ncwd=" + keeper_.directory()));
  EXPECT_THAT(text, HasSubstr("leads=1,1\nstdin=/dev/null\nfds=0 1 2 \nnnp=1\npdeath=9\n"));
  EXPECT_THAT(text, HasSubstr("nofile=333,333\ncore=0\n"));
  EXPECT_THAT(text, HasSubstr("SigBlk:\t0000000000000000\n"));
  EXPECT_THAT(text, HasSubstr("SigIgn:\t0000000000000000\n"));
  ASSERT_TRUE(keeper_.Until([&] { return seen.gone; }));
  EXPECT_EQ(seen.exited, ExitStatus{});
}

TEST_F(KeeperTest, WithoutALimitAProcessHasTheOneThatTheKeeperWasStartedWith) {
  rlimit own{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &own), 0);
  keeper_.AwaitBrain();
  Seen& seen = keeper_.Spawn(KeeperHarness::Spec("a", "report"));
  EXPECT_THAT(keeper_.Read(seen.stdout_pipe), HasSubstr("nofile=" + std::to_string(own.rlim_cur) +
                                                        "," + std::to_string(own.rlim_max) + "\n"));
}

TEST_F(KeeperTest, AnIdentityIsTakenOnWhole) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root";
  keeper_.AwaitBrain();
  SpawnSpec spec = KeeperHarness::Spec("a", "report");
  spec.identity = Identity{4242, 4243, {4243, 4244}};
  // The build directory may be closed to that user: the open file is executed, not its path.
  const UniqueFd program(::open(spec.path.c_str(), O_RDONLY | O_CLOEXEC));
  Seen& seen = keeper_.Spawn(spec, program);
  const std::string text = keeper_.Read(seen.stdout_pipe);
  EXPECT_THAT(text, HasSubstr("Uid:\t4242\t4242\t4242\t4242\n"));
  EXPECT_THAT(text, HasSubstr("Gid:\t4243\t4243\t4243\t4243\n"));
  EXPECT_THAT(text, HasSubstr("Groups:\t4243 4244"));
  EXPECT_THAT(text, HasSubstr("pdeath=9\n"));
}

TEST_F(KeeperTest, TheOpenFileIsExecutedEvenWhenItsPathHasChanged) {
  keeper_.AwaitBrain();
  const std::string path = keeper_.directory() + "/program";
  std::filesystem::copy_file(KEEPER_TEST_PROGRAM, path);
  const UniqueFd program(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  ASSERT_EQ(::unlink(path.c_str()), 0);
  Seen& seen = keeper_.Spawn(KeeperHarness::SpecFor("a", {path, "report"}), program);
  ASSERT_FALSE(seen.failed);
  EXPECT_THAT(keeper_.Read(seen.stdout_pipe), HasSubstr("fds=0 1 2 \n"));
}

TEST_F(KeeperTest, AScriptIsExecutedByItsPath) {
  keeper_.AwaitBrain();
  const std::string path = keeper_.directory() + "/script";
  WriteFile(path, "#!/bin/sh\necho \"from $0\"\nexit 5\n", 0755);
  Seen& seen = keeper_.Spawn(KeeperHarness::SpecFor("a", {path}));
  EXPECT_EQ(keeper_.Read(seen.stdout_pipe), "from " + path + "\n");
  ASSERT_TRUE(keeper_.Until([&] { return seen.gone; }));
  EXPECT_EQ(seen.exited, (ExitStatus{5, 0, false, false}));
}

TEST_F(KeeperTest, EachFailingStepIsReportedWithItsErrno) {
  keeper_.AwaitBrain();
  const std::string directory = keeper_.directory();
  const size_t fds = OpenFds(keeper_.keeper_pid());
  int next = 0;
  const auto failure = [&](SpawnSpec spec) {
    spec.id = "f" + std::to_string(next++);
    const Seen& seen = keeper_.Spawn(spec);
    EXPECT_EQ(seen.pid, 0);
    return seen.failed.value_or(std::pair(SpawnStep::kPipe, 0));
  };
  using Failure = std::pair<SpawnStep, int>;
  EXPECT_EQ(failure(KeeperHarness::SpecFor("f", {directory + "/absent"})),
            Failure(SpawnStep::kExec, ENOENT));
  WriteFile(directory + "/plain", "text", 0644);
  EXPECT_EQ(failure(KeeperHarness::SpecFor("f", {directory + "/plain"})),
            Failure(SpawnStep::kExec, EACCES));
  WriteFile(directory + "/foreign",
            "\x7f"
            "ELFgarbage",
            0755);
  EXPECT_EQ(failure(KeeperHarness::SpecFor("f", {directory + "/foreign"})),
            Failure(SpawnStep::kExec, ENOEXEC));
  WriteFile(directory + "/orphaned", "#!/no/such/interpreter\n", 0755);
  EXPECT_EQ(failure(KeeperHarness::SpecFor("f", {directory + "/orphaned"})),
            Failure(SpawnStep::kExec, ENOENT));
  SpawnSpec spec = KeeperHarness::Spec("f", "sleep");
  spec.working_directory = directory + "/absent";
  EXPECT_EQ(failure(spec), Failure(SpawnStep::kWorkingDirectory, ENOENT));
  spec = KeeperHarness::Spec("f", "sleep");
  spec.nofile_limit = uint64_t{1} << 40U;  // above fs.nr_open, for root too
  EXPECT_EQ(failure(spec), Failure(SpawnStep::kLimits, EPERM));
  if (::geteuid() != 0) {
    spec = KeeperHarness::Spec("f", "sleep");
    spec.identity = Identity{0, 0, {0}};
    EXPECT_EQ(failure(spec), Failure(SpawnStep::kIdentity, EPERM));
  }
  EXPECT_TRUE(keeper_.Until([&] {
    return OpenFds(keeper_.keeper_pid()) == fds && ChildrenOf(keeper_.keeper_pid()).size() == 1;
  })) << "a failed spawn left an fd or a process";
}

TEST_F(KeeperTest, TheWayAProcessEndedIsAValue) {
  keeper_.AwaitBrain();
  const auto end_of = [&](const std::string& id, const std::string& script) {
    Seen& seen = keeper_.Spawn(KeeperHarness::SpecFor(id, {"/bin/sh", "-c", script}));
    EXPECT_TRUE(keeper_.Until([&] { return seen.gone; }));
    return seen.exited.value_or(ExitStatus{-1, 0, false, false});
  };
  EXPECT_EQ(end_of("a", "exit 0"), (ExitStatus{0, 0, false, false}));
  EXPECT_EQ(end_of("b", "exit 77"), (ExitStatus{77, 0, false, false}));
  EXPECT_EQ(end_of("c", "kill -TERM $$"), (ExitStatus{0, SIGTERM, false, false}));
  EXPECT_EQ(end_of("d", "kill -SEGV $$").signal, SIGSEGV);
}

TEST_F(KeeperTest, ASignalGoesToTheProcessGroup) {
  keeper_.AwaitBrain();
  Seen& seen = keeper_.Spawn(KeeperHarness::SpecFor(
      "a", {"/bin/sh", "-c",
            "sh -c 'trap \"echo inner; exit\" TERM; echo up; while :; do sleep 1; done' &"
            "trap 'wait; echo outer; exit 3' TERM; wait"}));
  keeper_.Read(seen.stdout_pipe, "up");
  keeper_.client().Signal("a", SIGTERM);
  const std::string text = keeper_.Read(seen.stdout_pipe);
  EXPECT_THAT(text, HasSubstr("inner"));
  EXPECT_THAT(text, HasSubstr("outer"));
  ASSERT_TRUE(keeper_.Until([&] { return seen.gone; }));
  EXPECT_EQ(seen.exited, (ExitStatus{3, 0, false, false}));
}

TEST_F(KeeperTest, TwoHundredDeathsLeaveNoZombieAndNoFd) {
  keeper_.AwaitBrain();
  const size_t fds = OpenFds(keeper_.keeper_pid());
  for (int round = 0; round < 10; ++round) {
    std::vector<std::string> ids;
    for (int i = 0; i < 20; ++i) {
      ids.push_back("r" + std::to_string(round) + "n" + std::to_string(i));
      keeper_.client().Spawn(KeeperHarness::Spec(ids.back(), "sleep"), UniqueFd());
    }
    for (const auto& id : ids) {
      Seen& seen = keeper_.seen(id);
      ASSERT_TRUE(keeper_.Until([&] { return seen.pid != 0; }));
      ::kill(seen.pid, SIGKILL);
    }
    for (const auto& id : ids) {
      ASSERT_TRUE(keeper_.Until([&] { return keeper_.seen(id).gone; }));
      keeper_.client().Forget(id);
    }
  }
  EXPECT_TRUE(keeper_.Until([&] {
    return OpenFds(keeper_.keeper_pid()) == fds && ChildrenOf(keeper_.keeper_pid()).size() == 1;
  }));
}

TEST_F(KeeperTest, OrphansOfALivingPluginAreReaped) {
  keeper_.AwaitBrain();
  Seen& seen = keeper_.Spawn(KeeperHarness::SpecFor(
      "a", {"/bin/sh", "-c",
            "for i in 1 2 3 4 5; do (true & true & true &) ; done; echo up; exec sleep 1000"}));
  keeper_.Read(seen.stdout_pipe, "up");
  EXPECT_TRUE(keeper_.Until([&] { return ChildrenOf(keeper_.keeper_pid()).size() == 2; }));
}

TEST_F(KeeperTest, EveryRecordFdAndProcessOutlivesPlugind) {
  const Inheritance& first = keeper_.AwaitBrain();
  EXPECT_EQ(first.generation, 0U);
  EXPECT_FALSE(first.stopping);
  EXPECT_TRUE(first.processes.empty() && first.records.empty() && first.fds.empty());

  Seen& stays =
      keeper_.Spawn(KeeperHarness::SpecFor("a", {"/bin/sh", "-c", "echo kept; cat; sleep 1000"}));
  Seen& dies = keeper_.Spawn(KeeperHarness::Spec("b", "sleep"));
  Seen& known = keeper_.Spawn(KeeperHarness::SpecFor("c", {"/bin/sh", "-c", "exit 4"}));
  ASSERT_TRUE(keeper_.Until([&] { return known.gone; }));
  const std::string big(kMaxRecordBytes, 'r');
  keeper_.client().PutRecord("big", big);
  keeper_.client().PutRecord("old", "1");
  keeper_.client().PutRecord("old", "2");
  keeper_.client().PutRecord("dropped", "x");
  keeper_.client().DropRecord("dropped");
  const UniqueFd file(
      ::open((keeper_.directory() + "/kept").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  ASSERT_EQ(::write(file.get(), "mine", 4), 4);
  keeper_.client().KeepFd("file", file);
  keeper_.client().KeepFd("gone", file);
  keeper_.client().DropFd("gone");
  const int pid = stays.pid;
  const int old_brain = keeper_.brain_pid();
  keeper_.KillBrain();
  ::kill(dies.pid, SIGABRT);

  Inheritance& second = keeper_.AwaitBrain();
  EXPECT_NE(keeper_.brain_pid(), old_brain);
  EXPECT_EQ(second.generation, 1U);
  EXPECT_EQ(second.records, (std::map<std::string, std::string>{{"big", big}, {"old", "2"}}));
  ASSERT_EQ(second.fds.size(), 1U);
  char text[5] = {};
  EXPECT_EQ(::pread(second.fds.at("file").get(), text, 4, 0), 4);
  EXPECT_STREQ(text, "mine");

  ASSERT_EQ(second.processes.size(), 3U);
  const auto& a = second.processes[0];
  EXPECT_EQ(a.id, "a");
  EXPECT_EQ(a.plugin, "fixture");
  EXPECT_EQ(a.pid, pid);
  EXPECT_FALSE(a.exited);
  EXPECT_EQ(keeper_.Read(a.stdout_pipe, "\n"), "kept\n");
  EXPECT_TRUE(IsAlive(pid));
  const auto& c = second.processes[2];
  EXPECT_EQ(c.exited, (ExitStatus{4, 0, false, false}));
  EXPECT_TRUE(c.gone);
  // Whether "b" was dead in time for the greeting, or is reported after it: it is told once.
  const auto& b = second.processes[1];
  if (b.exited) {
    EXPECT_EQ(b.exited->signal, SIGABRT);
  } else {
    ASSERT_TRUE(keeper_.Until([&] { return dies.exited.has_value(); }));
    EXPECT_EQ(dies.exited->signal, SIGABRT);
  }
  EXPECT_THAT(keeper_.StandardError(),
              HasSubstr("killed by signal 9 (Killed); it is started again"));

  keeper_.client().Forget("c");
  keeper_.client().Forget("b");
  keeper_.KillBrain();
  EXPECT_EQ(keeper_.AwaitBrain().processes.size(), 1U);
}

TEST_F(KeeperTest, AnExitWhileThereIsNoPlugindIsHandedOver) {
  keeper_.AwaitBrain();
  Seen& seen = keeper_.Spawn(KeeperHarness::Spec("a", "sleep"));
  keeper_.EndBrain(1);
  for (int i = 0; i < 2; ++i) {  // the third restart waits for 200 ms
    keeper_.AwaitBrain(/*serve=*/false);
    keeper_.EndBrain(1);
  }
  ASSERT_TRUE(keeper_.Until([&] { return !IsAlive(keeper_.brain_pid()); }));
  ::kill(seen.pid, SIGKILL);
  const Inheritance& next = keeper_.AwaitBrain(/*serve=*/false);
  ASSERT_EQ(next.processes.size(), 1U);
  ASSERT_TRUE(next.processes[0].exited);
  EXPECT_EQ(next.processes[0].exited->signal, SIGKILL);
  EXPECT_GT(next.processes[0].exited_at.time_since_epoch().count(), 0);
  EXPECT_TRUE(next.processes[0].gone);
}

TEST_F(KeeperTest, CommandsSentBeforeThatPlugindWasKilledAreExecuted) {
  keeper_.AwaitBrain();
  Seen& noise = keeper_.Spawn(KeeperHarness::Spec("noise", "sleep"));
  ::kill(keeper_.keeper_pid(), SIGSTOP);
  keeper_.client().PutRecord("plugin", "spawning a");
  keeper_.client().Spawn(KeeperHarness::Spec("a", "sleep"), UniqueFd());
  keeper_.client().Spawn(KeeperHarness::SpecFor("b", {"/absent"}), UniqueFd());
  keeper_.client().PutRecord("last", "word");
  keeper_.KillBrain();
  ::kill(noise.pid, SIGKILL);
  ::kill(keeper_.keeper_pid(), SIGCONT);
  const Inheritance& next = keeper_.AwaitBrain();
  EXPECT_EQ(next.records.at("plugin"), "spawning a");
  EXPECT_EQ(next.records.at("last"), "word");
  ASSERT_EQ(next.processes.size(), 2U)
      << "a and noise; b could not be started, and no one waits to hear so";
  EXPECT_EQ(next.processes[0].id, "a");
  EXPECT_TRUE(IsAlive(next.processes[0].pid));
  // Handed over, so not told again.
  EXPECT_FALSE(
      keeper_.Until([&] { return keeper_.seen("a").pid != 0; }, std::chrono::milliseconds(50)));
}

TEST_F(KeeperTest, WithUnreadReportsADeadPlugindsCommandsAreStillExecuted) {
  keeper_.AwaitBrain();
  Seen& noise = keeper_.Spawn(KeeperHarness::Spec("noise", "sleep"));
  ::kill(noise.pid, SIGKILL);
  // OnExited and OnGone lie in plugind's socket when it is closed, which the keeper sees as
  // ECONNRESET.
  ASSERT_TRUE(keeper_.AwaitUnreadReport());
  ::kill(keeper_.keeper_pid(), SIGSTOP);
  for (int i = 0; i < 50; ++i) {
    keeper_.client().Spawn(KeeperHarness::Spec("n" + std::to_string(i), "sleep"), UniqueFd());
  }
  keeper_.KillBrain();
  keeper_.CloseSocket();
  ::kill(keeper_.keeper_pid(), SIGCONT);
  EXPECT_EQ(keeper_.AwaitBrain().processes.size(), 51U);
}

TEST_F(KeeperTest, AGreetingLargerThanTheSocketArrivesWhole) {
  keeper_.AwaitBrain();
  const std::string record(kMaxRecordBytes, 'x');
  for (int i = 0; i < 100; ++i) keeper_.client().PutRecord("r" + std::to_string(i), record);
  const UniqueFd null(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  for (int i = 0; i < 300; ++i) keeper_.client().KeepFd("f" + std::to_string(i), null);
  keeper_.KillBrain();
  const Inheritance& next = keeper_.AwaitBrain();
  EXPECT_EQ(next.records.size(), 100U);
  EXPECT_EQ(next.fds.size(), 300U);
}

TEST_F(KeeperTest, APlugindThatDoesNotReadCostsNothingAndMissesNothing) {
  keeper_.AwaitBrain();
  for (int i = 0; i < 300; ++i) {
    keeper_.client().Spawn(KeeperHarness::SpecFor("n" + std::to_string(i), {"/bin/true"}),
                           UniqueFd());
  }
  for (int i = 0; i < 300; ++i) {
    ASSERT_TRUE(keeper_.Until([&] { return keeper_.seen("n" + std::to_string(i)).gone; }));
  }
}

TEST_F(KeeperTest, AFirstPlugindThatDoesNotServeEndsTheKeeperWithItsExitCode) {
  keeper_.AwaitBrain(/*serve=*/false);
  keeper_.EndBrain(78);
  const int status = keeper_.AwaitKeeperExit();
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 78) << status;
}

TEST_F(KeeperTest, AFirstPlugindThatIsKilledBeforeItServesEndsTheKeeper) {
  keeper_.AwaitBrain(/*serve=*/false);
  keeper_.KillBrain(SIGABRT);
  const int status = keeper_.AwaitKeeperExit();
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 128 + SIGABRT) << status;
}

TEST_F(KeeperTest, ALaterPlugindThatDoesNotServeIsStartedAgain) {
  keeper_.AwaitBrain();
  Seen& seen = keeper_.Spawn(KeeperHarness::Spec("a", "sleep"));
  keeper_.EndBrain(1);
  for (int i = 0; i < 3; ++i) {
    keeper_.AwaitBrain(/*serve=*/false);
    keeper_.EndBrain(78);
  }
  EXPECT_EQ(keeper_.AwaitBrain().generation, 4U);
  EXPECT_TRUE(IsAlive(seen.pid));
}

TEST_F(KeeperTest, AnOrderlyStopEndsTheKeeperAndKillsWhatIsLeft) {
  keeper_.AwaitBrain();
  Seen& seen = keeper_.Spawn(KeeperHarness::Spec("a", "sleep"));
  keeper_.client().BeginStop();
  keeper_.EndBrain(0);
  const int status = keeper_.AwaitKeeperExit();
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
  EXPECT_FALSE(IsAlive(seen.pid));
  EXPECT_EQ(keeper_.StandardError(), "");
}

TEST_F(KeeperTest, APlugindThatClosesItsSocketBeforeItExitsIsLeftToExit) {
  keeper_.AwaitBrain();
  keeper_.client().BeginStop();
  keeper_.CloseSocket();
  EXPECT_FALSE(
      keeper_.Until([&] { return !IsAlive(keeper_.brain_pid()); }, std::chrono::milliseconds(50)));
  keeper_.EndBrain(0);
  EXPECT_EQ(keeper_.AwaitKeeperExit(), 0);
}

TEST_F(KeeperTest, APlugindKilledDuringTheStopIsStartedAgainToFinishIt) {
  keeper_.AwaitBrain();
  keeper_.client().BeginStop();
  keeper_.KillBrain();
  EXPECT_TRUE(keeper_.AwaitBrain().stopping);
  keeper_.EndBrain(0);
  EXPECT_EQ(keeper_.AwaitKeeperExit(), 0);
}

TEST_F(KeeperTest, SignalsAreForwarded) {
  keeper_.AwaitBrain();
  for (const int signal : {SIGHUP, SIGUSR1, SIGTERM, SIGTERM, SIGINT}) {
    // Ready and the signal reach the keeper by different ways: the first one must not overtake.
    ::kill(keeper_.keeper_pid(), signal);
    EXPECT_EQ(keeper_.AwaitBrainSignal(), signal);
  }
  // Once a stop was asked for, a plugind that is killed before it took note is told by its
  // greeting.
  keeper_.KillBrain();
  EXPECT_TRUE(keeper_.AwaitBrain().stopping);
}

TEST_F(KeeperTest, SignalsWaitUntilPlugindServes) {
  keeper_.AwaitBrain(/*serve=*/false);
  ::kill(keeper_.keeper_pid(), SIGHUP);
  ::kill(keeper_.keeper_pid(), SIGTERM);
  ASSERT_TRUE(keeper_.Until([&] {  // the keeper has taken both
    const std::string status =
        ReadWhole(("/proc/" + std::to_string(keeper_.keeper_pid()) + "/status").c_str());
    return status.find("ShdPnd:\t0000000000000000") != std::string::npos;
  }));
  keeper_.client().Ready();
  std::vector<int> got = {keeper_.AwaitBrainSignal(), keeper_.AwaitBrainSignal()};
  std::sort(got.begin(), got.end());
  EXPECT_EQ(got, (std::vector<int>{SIGHUP, SIGTERM}));
}

TEST_F(KeeperTest, ASecondStopSignalEndsAKeeperWhosePlugindDoesNotServe) {
  keeper_.AwaitBrain(/*serve=*/false);
  ::kill(keeper_.keeper_pid(), SIGTERM);
  ::kill(keeper_.keeper_pid(), SIGINT);
  const int status = keeper_.AwaitKeeperExit();
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) > 128) << status;
  EXPECT_FALSE(IsAlive(keeper_.brain_pid()));
}

TEST_F(KeeperTest, WhenTheKeeperIsKilledNothingIsLeft) {
  keeper_.AwaitBrain();
  std::vector<int> pids = {keeper_.brain_pid()};
  for (int i = 0; i < 20; ++i) {
    pids.push_back(keeper_.Spawn(KeeperHarness::Spec("n" + std::to_string(i), "sleep")).pid);
  }
  ::kill(keeper_.keeper_pid(), SIGKILL);
  EXPECT_TRUE(keeper_.Until([&] { return std::none_of(pids.begin(), pids.end(), IsAlive); },
                            std::chrono::seconds(1)));
  EXPECT_TRUE(keeper_.Until([&] { return keeper_.lost(); }));
}

TEST_F(KeeperTest, AnIdleKeeperDoesNotWakeUp) {
  keeper_.AwaitBrain();
  keeper_.Spawn(KeeperHarness::Spec("a", "sleep"));
  const std::string status = "/proc/" + std::to_string(keeper_.keeper_pid()) + "/status";
  std::string last;
  int same = 0;
  const auto sleeps = [&] {  // how often it went to sleep, which is how often it woke up
    std::string count;
    ForEachLine(ReadWhole(status.c_str()), [&](std::string_view line) {
      if (line.starts_with("voluntary_ctxt_switches")) count = line;
    });
    same = count == last ? same + 1 : 0;
    last = count;
    return same;
  };
  ASSERT_TRUE(keeper_.Until([&] { return sleeps() > 50; })) << "it is not idle yet";
  EXPECT_FALSE(keeper_.Until([&] { return sleeps() == 0; }, std::chrono::milliseconds(300)));
}

TEST_F(KeeperTest, FiveHundredProcessesCostLessThanTwoMebibytes) {
#if defined(KEEPER_SANITIZED)
  GTEST_SKIP() << "a sanitizer's memory is not the keeper's";
#endif
  keeper_.AwaitBrain();
  constexpr int kCount = 500;
  for (int i = 0; i < kCount; ++i) {
    const std::string id = "n" + std::to_string(i);
    keeper_.client().PutRecord("instance/" + id, std::string(300, 'r'));
    keeper_.client().Spawn(KeeperHarness::SpecFor(id, {"/bin/sleep", "1000"}), UniqueFd());
  }
  ASSERT_TRUE(
      keeper_.Until([&] { return keeper_.seen("n" + std::to_string(kCount - 1)).pid != 0; }));
  long kib = 0;
  const std::string path = "/proc/" + std::to_string(keeper_.keeper_pid()) + "/smaps_rollup";
  ForEachLine(ReadWhole(path.c_str()), [&](std::string_view line) {
    if (line.starts_with("Private_")) kib += std::atol(line.data() + line.find(':') + 1);
  });
  RecordProperty("private_kib", std::to_string(kib));
  EXPECT_GT(kib, 0);
  EXPECT_LE(kib, 2048);
}

// ---- trees, by both ways of holding them together ----

class KeeperTreeTest : public ::testing::TestWithParam<bool> {
 protected:
  KeeperTreeTest()
      : keeper_(GetParam() ? std::vector<std::string>{}
                           : std::vector<std::string>{"PLUGIND_NO_CGROUP=1"}) {}
  void SetUp() override {
    cgroup_ = keeper_.AwaitBrain().cgroup;
    if (GetParam() && cgroup_.empty()) GTEST_SKIP() << "no writable cgroup v2 here";
    EXPECT_EQ(cgroup_.empty(), !GetParam());
  }
  // A main process, a child, and two orphans in sessions of their own; the pids of all.
  std::vector<int> SpawnFamily(const std::string& id, const std::string& plugin = "fixture") {
    SpawnSpec spec = KeeperHarness::Spec(id, "family");
    spec.plugin = plugin;
    Seen& seen = keeper_.Spawn(spec);
    const std::string text = keeper_.Read(seen.stdout_pipe, "ready");
    std::vector<int> pids = {seen.pid, NumberAfter(text, "child"), NumberAfter(text, "daemon"),
                             NumberAfter(text, "nameless")};
    for (const int pid : pids) EXPECT_TRUE(pid > 0 && IsAlive(pid)) << text;
    return pids;
  }
  bool NoneLeft(const std::vector<int>& pids) {
    return std::none_of(pids.begin(), pids.end(), IsAlive);
  }

  KeeperHarness keeper_;
  std::string cgroup_;
};
INSTANTIATE_TEST_SUITE_P(Trees, KeeperTreeTest, ::testing::Bool(),
                         [](const auto& i) { return i.param ? "Cgroup" : "Proc"; });

TEST_P(KeeperTreeTest, TheDeathOfTheMainProcessTakesItsWholeTreeDown) {
  const auto family = SpawnFamily("a");
  const auto bystander = SpawnFamily("b");
  ::kill(family[0], SIGKILL);
  ASSERT_TRUE(keeper_.Until([&] { return keeper_.seen("a").gone; }));
  EXPECT_TRUE(NoneLeft(family)) << "gone was told too early";
  for (const int pid : bystander)
    EXPECT_TRUE(IsAlive(pid)) << "another plugin's process was killed";
  EXPECT_FALSE(!cgroup_.empty() && std::filesystem::exists(cgroup_ + "/a"));
}

TEST_P(KeeperTreeTest, KillTreeKillsALivingTree) {
  const auto family = SpawnFamily("a");
  const auto bystander = SpawnFamily("b");
  keeper_.client().KillTree("a");
  ASSERT_TRUE(keeper_.Until([&] { return keeper_.seen("a").gone; }));
  EXPECT_EQ(keeper_.seen("a").exited->signal, SIGKILL);
  EXPECT_TRUE(NoneLeft(family));
  for (const int pid : bystander) EXPECT_TRUE(IsAlive(pid));
  EXPECT_TRUE(keeper_.Until([&] { return ChildrenOf(keeper_.keeper_pid()).size() == 4; }))
      << "plugind, the bystander and its two orphans";
}

TEST_P(KeeperTreeTest, TheEndOfTheKeeperLeavesNoTreeAndNoDirectory) {
  const auto family = SpawnFamily("a");
  keeper_.client().BeginStop();
  keeper_.EndBrain(0);
  EXPECT_EQ(keeper_.AwaitKeeperExit(), 0);
  EXPECT_TRUE(NoneLeft(family));
  EXPECT_FALSE(!cgroup_.empty() && std::filesystem::exists(cgroup_));
}

TEST_P(KeeperTreeTest, AForkBombIsTakenDown) {
  Seen& seen = keeper_.Spawn(KeeperHarness::SpecFor(
      "a", {"/bin/sh", "-c",
            "ulimit -u 3000; f() { while :; do (sleep 0.02; sleep 0.02) & sleep 0.005; done; };"
            "f & f & f & echo up; f"}));
  keeper_.Read(seen.stdout_pipe, "up");
  keeper_.client().KillTree("a");
  ASSERT_TRUE(keeper_.Until([&] { return seen.gone; }));
  EXPECT_TRUE(keeper_.Until([&] { return ChildrenOf(keeper_.keeper_pid()).size() == 1; }));
}

TEST_P(KeeperTreeTest, ATreeThatCannotBeKilledIsStuckUntilItCan) {
#if !defined(PLUGIND_FAILPOINTS)
  GTEST_SKIP() << "needs PLUGIND_FAILPOINTS";
#endif
  const std::string file = keeper_.directory() + "/keeper.unkillable.hard";
  WriteFile(file, "");
  auto family = SpawnFamily("a", "hard");
  keeper_.client().KillTree("a");
  ASSERT_TRUE(keeper_.Until([&] { return !keeper_.seen("a").stuck.empty(); }));
  auto remaining = keeper_.seen("a").stuck;
  std::sort(family.begin(), family.end());
  std::sort(remaining.begin(), remaining.end());
  EXPECT_EQ(remaining, family);
  EXPECT_FALSE(keeper_.seen("a").gone);

  keeper_.seen("a").stuck.clear();
  keeper_.KillBrain();
  EXPECT_FALSE(keeper_.AwaitBrain().processes.at(0).gone);
  ASSERT_TRUE(keeper_.Until([&] { return !keeper_.seen("a").stuck.empty(); }))
      << "a successor is told";

  std::filesystem::remove(file);
  ASSERT_TRUE(keeper_.Until([&] { return keeper_.seen("a").gone; }));
  EXPECT_TRUE(NoneLeft(family));
}

TEST(KeeperCgroupTest, NothingOutlivesAKeeperThatWasKilledAndTheNextTidiesUp) {
  std::vector<int> orphans;
  std::string cgroup;
  {
    KeeperHarness first;
    cgroup = first.AwaitBrain().cgroup;
    if (cgroup.empty()) GTEST_SKIP() << "no writable cgroup v2 here";
    Seen& seen = first.Spawn(KeeperHarness::Spec("a", "family"));
    const std::string text = first.Read(seen.stdout_pipe, "ready");
    orphans = {NumberAfter(text, "daemon"), NumberAfter(text, "nameless")};
    ::kill(first.keeper_pid(), SIGKILL);
    first.AwaitKeeperExit();
  }
  const SystemClock clock;
  const Instant bound = clock.Now() + std::chrono::seconds(1);
  const auto none_left = [&] { return std::none_of(orphans.begin(), orphans.end(), IsAlive); };
  while (!none_left() && clock.Now() < bound) ::sched_yield();
  EXPECT_TRUE(none_left()) << "a second after the keeper's death";
  KeeperHarness second;
  second.AwaitBrain();
  EXPECT_FALSE(std::filesystem::exists(cgroup));
}

}  // namespace
}  // namespace plugind::keeper
