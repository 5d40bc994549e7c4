// A running plugin's health, and what follows from it.

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "daemon/supervisor/testing/core_fixture.h"

namespace plugind::supervisor {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::ElementsAre;
using testing::HasSubstr;

// An interval of 5 s, less the fiftieth by which a check may be early.
constexpr milliseconds kMoment{100};
constexpr milliseconds kSoonest{4900};

class HealthTest : public CoreTest {
 protected:
  // Ends at the first of its regular checks.
  void BootWithoutWatch() {
    manners("kv").watch = absl::UnimplementedError("no Watch");
    BootWith("kv");
    const int checks = manners("kv").checks;
    for (int i = 0; i < 5000 && manners("kv").checks == checks; ++i) Advance(milliseconds(1));
    ASSERT_EQ(manners("kv").checks, checks + 1) << "an interval after it was READY at the latest";
  }
};

TEST_F(HealthTest, NotServingMakesItUnreadyAndServingReadyAgainWithoutTouchingTheProcess) {
  BootWith("kv");
  const int pid = Status("kv").pid;
  for (int i = 0; i < 3; ++i) {
    plugind->clients.Push("kv", false);
    Settle();
    EXPECT_EQ(StateOf("kv"), "UNREADY");
    EXPECT_EQ(ReasonOf("kv"), "its health says NOT_SERVING");
    plugind->clients.Push("kv", true);
    Settle();
    EXPECT_EQ(StateOf("kv"), "READY");
  }
  EXPECT_EQ(Status("kv").pid, pid);
  EXPECT_EQ(keeper.spawns("kv"), 1);
  EXPECT_TRUE(keeper.process("kv").signals.empty());
}

TEST_F(HealthTest, TheSameAnswerAgainIsNoEvent) {
  BootWith("kv");
  const size_t before = Events("kv").size();
  for (int i = 0; i < 5; ++i) plugind->clients.Push("kv", true);
  Advance(seconds(60));
  EXPECT_EQ(Events("kv").size(), before);
}

TEST_F(HealthTest, WithoutWatchAChangeIsSeenAtTheNextCheck) {
  BootWithoutWatch();
  manners("kv").health = false;
  Advance(kSoonest - milliseconds(1));
  EXPECT_EQ(StateOf("kv"), "READY");
  Advance(seconds(5) - kSoonest + milliseconds(1));
  EXPECT_EQ(StateOf("kv"), "UNREADY");
  manners("kv").health = true;
  Advance(seconds(5));
  EXPECT_EQ(StateOf("kv"), "READY");
  EXPECT_EQ(manners("kv").watches, 1) << "asked once, and never again";
}

TEST_F(HealthTest, ThreeChecksWithoutAnswerStopAndRestartIt) {
  BootWithoutWatch();
  manners("kv").health_hangs = true;
  // Asked 5 s after the last answer at the latest, each waits 2 s.
  Advance(3 * (kSoonest + seconds(2)) - milliseconds(1));
  EXPECT_EQ(StateOf("kv"), "READY");
  Advance(3 * (seconds(5) - kSoonest) + milliseconds(1));
  EXPECT_EQ(StateOf("kv"), "BACKOFF");
  EXPECT_EQ(ReasonOf("kv"), "3 health checks in a row failed, the last: no answer");
  EXPECT_EQ(Status("kv").last_exit->status, (ExitStatus{.signal = 15}));
  manners("kv").health_hangs = false;
  Advance(milliseconds(200));
  EXPECT_EQ(StateOf("kv"), "READY");
  EXPECT_THAT(Events("kv"), ElementsAre("waiting", "starting", "spawned", "ready", "unhealthy",
                                        "backoff", "waiting", "starting", "spawned", "ready"));
}

TEST_F(HealthTest, ChecksOfPluginsThatBeganApartFallTogether) {
  BootWith("kv");
  Advance(milliseconds(1234));
  Add("late");
  supervisor().Apply(config);
  Settle();
  ASSERT_EQ(StateOf("late"), "READY");
  std::map<std::string, Instant> checked;
  for (int i = 0; i < 5000; ++i) {
    const std::map<std::string, int> before = {{"kv", manners("kv").checks},
                                               {"late", manners("late").checks}};
    Advance(milliseconds(1));
    for (const auto& [name, checks] : before) {
      if (manners(name).checks > checks) checked[name] = clock.Now();
    }
  }
  ASSERT_EQ(checked.size(), 2U);
  EXPECT_EQ((checked["late"] - checked["kv"]) % kMoment, Duration::zero());
}

TEST_F(HealthTest, ChecksOfPluginsThatBeganTogetherAreSpreadOverTheInterval) {
  constexpr int kPlugins = 100;
  std::vector<std::string> names;
  for (int i = 0; i < kPlugins; ++i) Add(names.emplace_back(fmt::format("p{:03}", i)));
  Boot();
  const auto checks = [&] {
    int sum = 0;
    for (const std::string& name : names) sum += manners(name).checks;
    return sum;
  };
  for (int interval = 0; interval < 3; ++interval) {
    int most = 0;
    int all = checks();
    for (Duration passed{}; passed < seconds(5); passed += kMoment) {
      const int before = checks();
      Advance(kMoment);
      most = std::max(most, checks() - before);
    }
    all = checks() - all;
    EXPECT_GE(all, kPlugins);
    EXPECT_LE(all, kPlugins + most);
    EXPECT_LE(most, 8) << "two would be quite even";
  }
}

TEST_F(HealthTest, AnAnswerInBetweenBeginsTheCountAnew) {
  BootWithoutWatch();
  for (int i = 0; i < 5; ++i) {
    manners("kv").health_hangs = true;
    Advance(seconds(5 + 2 + 5 + 2));
    manners("kv").health_hangs = false;
    Advance(seconds(5));
    EXPECT_EQ(StateOf("kv"), "READY");
  }
}

TEST_F(HealthTest, AnUnhealthyPluginIsNotAskedToShutDownButTold) {
  BootWithoutWatch();
  manners("kv").health = absl::UnavailableError("connection refused");
  Advance(seconds(15));
  EXPECT_EQ(StateOf("kv"), "BACKOFF");
  EXPECT_EQ(manners("kv").shutdowns, 0);
}

TEST_F(HealthTest, HealthThatWasAnsweredOnceAndIsUnimplementedLaterIsAFailureLikeAnother) {
  BootWithoutWatch();
  manners("kv").health = absl::UnimplementedError("");
  Advance(seconds(5));
  EXPECT_EQ(StateOf("kv"), "READY");
  Advance(seconds(10));
  EXPECT_EQ(StateOf("kv"), "BACKOFF");
}

TEST_F(HealthTest, AWatchThatTakesTheOnlyThreadIsGivenUpForGood) {
  manners("kv").hangs_while_watched = true;
  BootWith("kv");
  ASSERT_EQ(manners("kv").watches, 1);
  Advance(std::chrono::minutes(10));
  EXPECT_EQ(StateOf("kv"), "READY");
  EXPECT_EQ(keeper.spawns("kv"), 1);
  EXPECT_EQ(manners("kv").watches, 1);
  EXPECT_EQ(manners("kv").watches_given_up, 1);
  EXPECT_GT(manners("kv").checks, 100) << "Check goes on";
}

TEST_F(HealthTest, AWatchThatBreaksIsFollowedByACheckOnceADeathWouldBeKnownAndOpenedAgain) {
  BootWith("kv");
  const int checks = manners("kv").checks;
  plugind->clients.Push("kv", absl::UnavailableError("the stream broke"));
  Settle();
  EXPECT_EQ(StateOf("kv"), "READY");
  EXPECT_EQ(manners("kv").checks, checks) << "a dying process is not dialled";
  Advance(std::chrono::milliseconds(10));
  EXPECT_EQ(manners("kv").checks, checks + 1);
  Advance(seconds(5));
  EXPECT_EQ(manners("kv").watches, 2);
}

TEST_F(HealthTest, AWatchThatEndsWheneverItIsOpenedIsNoBusyLoop) {
  manners("kv").watch = absl::UnavailableError("the plugin ended the stream");
  BootWith("kv");
  const int checks = manners("kv").checks;
  const int watches = manners("kv").watches;
  Advance(seconds(60));
  EXPECT_EQ(StateOf("kv"), "READY");
  EXPECT_LE(manners("kv").watches - watches, 60 / 5 + 1);
  EXPECT_LE(manners("kv").checks - checks, 2 * 60 / 5 + 2);
}

TEST_F(HealthTest, UnreadyForTooLongIsRestarted) {
  Add("kv").health.unready_limit = seconds(30);
  Boot();
  plugind->clients.Push("kv", false);
  Advance(seconds(20));
  plugind->clients.Push("kv", true);
  Advance(seconds(1));
  EXPECT_EQ(StateOf("kv"), "READY");
  manners("kv").health = false;
  plugind->clients.Push("kv", false);
  Settle();
  Advance(seconds(30) - milliseconds(1));
  EXPECT_EQ(StateOf("kv"), "UNREADY");
  Advance(milliseconds(1));
  EXPECT_EQ(StateOf("kv"), "BACKOFF");
  EXPECT_EQ(ReasonOf("kv"), "its health was NOT_SERVING for too long");
}

TEST_F(HealthTest, WithoutALimitUnreadyLastsAsLongAsItLasts) {
  BootWith("kv");
  manners("kv").health = false;
  plugind->clients.Push("kv", false);
  Advance(std::chrono::hours(2));
  EXPECT_EQ(StateOf("kv"), "UNREADY");
  EXPECT_EQ(keeper.spawns("kv"), 1);
}

TEST_F(HealthTest, ADeathWhileUnreadyIsADeath) {
  BootWith("kv");
  plugind->clients.Push("kv", false);
  Settle();
  keeper.Exit("kv", {.code = 7});
  Settle();
  EXPECT_EQ(StateOf("kv"), "BACKOFF");
  EXPECT_EQ(ReasonOf("kv"), "exit code 7");
}

TEST_F(HealthTest, ANewIntervalHoldsFromTheNextCheckOn) {
  BootWithoutWatch();
  config::Config next = config;
  next.plugins["kv"].health.interval = seconds(1);
  supervisor().Apply(next);
  Advance(seconds(5));
  const int before = manners("kv").checks;
  Advance(seconds(10));
  EXPECT_EQ(manners("kv").checks - before, 10);
  EXPECT_EQ(keeper.spawns("kv"), 1);
}

}  // namespace
}  // namespace plugind::supervisor
