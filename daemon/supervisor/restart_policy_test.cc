#include "daemon/supervisor/restart_policy.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <deque>
#include <vector>

namespace plugind::supervisor {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;
using Kind = RestartPolicy::Verdict::Kind;
using Verdict = RestartPolicy::Verdict;

constexpr double kMiddle = 0.5;  // the jitter that leaves a delay as it is
constexpr Duration kNeverReady = Duration::zero();
const Instant kBegin(std::chrono::hours(1));

config::Quarantine Never() { return {.failures = 0, .window = seconds(60)}; }

Verdict Backoff(Duration delay) { return {Kind::kBackoff, delay}; }
Verdict Quarantine(Duration delay) { return {Kind::kQuarantine, delay}; }

TEST(RestartPolicyTest, DoublesFromTwoHundredMillisecondsToAMinute) {
  RestartPolicy policy;
  Duration expected = milliseconds(200);
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(policy.OnFailure({}, Never(), kBegin, kNeverReady, kMiddle), Backoff(expected)) << i;
    expected = std::min<Duration>(expected * 2, seconds(60));
  }
  EXPECT_EQ(expected, Duration(seconds(60)));
}

TEST(RestartPolicyTest, JitterMovesADelayByAQuarterEitherWay) {
  for (const auto& [jitter, delay] :
       {std::pair(0.0, 150), std::pair(0.5, 200), std::pair(1.0, 250)}) {
    RestartPolicy policy;
    EXPECT_EQ(policy.OnFailure({}, Never(), kBegin, kNeverReady, jitter),
              Backoff(milliseconds(delay)));
  }
}

TEST(RestartPolicyTest, RestartsAtOnceAfterAStableRun) {
  RestartPolicy policy;
  EXPECT_EQ(policy.OnFailure({}, {}, kBegin, seconds(60), kMiddle), Verdict{});
  EXPECT_EQ(policy.OnFailure({}, {}, kBegin, seconds(60) - milliseconds(1), kMiddle),
            Backoff(milliseconds(200)));
}

TEST(RestartPolicyTest, AStableRunShorterThanTwiceTheLastDelayForgetsNothing) {
  const config::Backoff backoff{.initial = seconds(50), .max = seconds(50), .stable = seconds(60)};
  RestartPolicy policy;
  ASSERT_EQ(policy.OnFailure(backoff, {}, kBegin, kNeverReady, kMiddle), Backoff(seconds(50)));
  // At once, for it was stable; but the count goes on.
  EXPECT_EQ(policy.OnFailure(backoff, {}, kBegin, seconds(99), kMiddle), Verdict{});
  EXPECT_EQ(policy.RecentFailures({}, kBegin), 2U);
  // Twice the delay: forgotten, and this is the first failure of a new count.
  EXPECT_EQ(policy.OnFailure(backoff, {}, kBegin, seconds(100), kMiddle), Verdict{});
  EXPECT_EQ(policy.RecentFailures({}, kBegin), 1U);
}

TEST(RestartPolicyTest, QuarantinesAfterFiveFailuresInAMinute) {
  RestartPolicy policy;
  Instant now = kBegin;
  for (int i = 0; i < 4; ++i, now += seconds(15)) {
    EXPECT_EQ(policy.OnFailure({}, {}, now, kNeverReady, kMiddle).kind, Kind::kBackoff) << i;
  }
  EXPECT_EQ(policy.RecentFailures({}, now), 4U);
  EXPECT_EQ(policy.OnFailure({}, {}, now, kNeverReady, kMiddle), Quarantine(minutes(5)));
}

TEST(RestartPolicyTest, FiveFailuresInALittleMoreThanAMinuteAreNoCrashLoop) {
  RestartPolicy policy;
  Instant now = kBegin;
  for (int i = 0; i < 50; ++i, now += seconds(15) + milliseconds(1)) {
    EXPECT_EQ(policy.OnFailure({}, {}, now, kNeverReady, kMiddle).kind, Kind::kBackoff) << i;
  }
}

TEST(RestartPolicyTest, OneFailureAfterQuarantineIsEnoughForTheNextAndTheyGrowToAnHour) {
  RestartPolicy policy;
  Instant now = kBegin;
  for (int i = 0; i < 4; ++i) policy.OnFailure({}, {}, now, kNeverReady, kMiddle);
  for (const Duration expected : std::vector<Duration>{minutes(5), minutes(15), minutes(30),
                                                       minutes(60), minutes(60), minutes(60)}) {
    EXPECT_EQ(policy.OnFailure({}, {}, now, kNeverReady, kMiddle), Quarantine(expected));
    now += expected;
  }
  // Even if it served for a while.
  EXPECT_EQ(policy.OnFailure({}, {}, now, seconds(59), kMiddle), Quarantine(minutes(60)));
}

TEST(RestartPolicyTest, AStableRunAfterQuarantineIsACleanSlate) {
  RestartPolicy policy;
  for (int i = 0; i < 6; ++i) policy.OnFailure({}, {}, kBegin, kNeverReady, kMiddle);
  EXPECT_EQ(policy.OnFailure({}, {}, kBegin, seconds(60), kMiddle), Verdict{});
  EXPECT_EQ(policy.OnFailure({}, {}, kBegin, kNeverReady, kMiddle), Backoff(milliseconds(200)));
  EXPECT_EQ(policy.OnFailure({}, {}, kBegin, kNeverReady, kMiddle), Backoff(milliseconds(400)));
}

TEST(RestartPolicyTest, AnOperatorGivesItACleanSlate) {
  RestartPolicy policy;
  for (int i = 0; i < 7; ++i) policy.OnFailure({}, {}, kBegin, kNeverReady, kMiddle);
  policy.Reset();
  EXPECT_EQ(policy, RestartPolicy());
  EXPECT_EQ(policy.RecentFailures({}, kBegin), 0U);
  EXPECT_EQ(policy.OnFailure({}, {}, kBegin, kNeverReady, kMiddle), Backoff(milliseconds(200)));
}

TEST(RestartPolicyTest, RecentFailuresAreThoseOfTheWindow) {
  RestartPolicy policy;
  policy.OnFailure({}, {}, kBegin, kNeverReady, kMiddle);
  policy.OnFailure({}, {}, kBegin + seconds(30), kNeverReady, kMiddle);
  EXPECT_EQ(policy.RecentFailures({}, kBegin + seconds(60)), 2U);
  EXPECT_EQ(policy.RecentFailures({}, kBegin + seconds(61)), 1U);
  EXPECT_EQ(policy.RecentFailures({}, kBegin + seconds(91)), 0U);
}

// ── Properties

struct Death {
  Duration pause;      // since the one before
  Duration ready_for;  // at most the pause
  double jitter;
};

config::Backoff AnyBackoff() {
  config::Backoff backoff;
  backoff.initial = milliseconds(*rc::gen::inRange(1, 5'000));
  backoff.max = backoff.initial + milliseconds(*rc::gen::inRange(0, 120'000));
  backoff.stable = milliseconds(*rc::gen::inRange(0, 120'000));
  return backoff;
}

config::Quarantine AnyQuarantine() {
  return {.failures = *rc::gen::inRange<uint32_t>(1, 12),
          .window = seconds(*rc::gen::inRange(1, 300))};
}

std::vector<Death> AnyDeaths() {
  const auto death = rc::gen::exec([] {
    const auto pause = milliseconds(*rc::gen::inRange(0, 200'000));
    const bool ready = *rc::gen::weightedElement<bool>({{3, false}, {1, true}});
    const auto jitter = static_cast<double>(*rc::gen::inRange(0, 1001)) / 1000.0;
    const Duration ready_for =
        ready ? milliseconds(*rc::gen::inRange<int64_t>(0, pause.count() + 1)) : milliseconds(0);
    return Death{pause, ready_for, jitter};
  });
  return *rc::gen::container<std::vector<Death>>(death);
}

RC_GTEST_PROP(RestartPolicyProperty, EveryDelayLiesWithinAQuarterOfItsBounds, ()) {
  const auto backoff = AnyBackoff();
  RestartPolicy policy;
  Instant now = kBegin;
  for (const Death& death : AnyDeaths()) {
    now += death.pause;
    const Verdict verdict =
        policy.OnFailure(backoff, AnyQuarantine(), now, death.ready_for, death.jitter);
    if (verdict.kind == Kind::kNow) {
      RC_ASSERT(verdict.delay == Duration::zero());
      RC_ASSERT(death.ready_for > Duration::zero() && death.ready_for >= backoff.stable);
    } else if (verdict.kind == Kind::kBackoff) {
      RC_ASSERT(verdict.delay >= backoff.initial * 3 / 4);
      RC_ASSERT(verdict.delay <= backoff.max * 5 / 4);
    } else {
      RC_ASSERT(verdict.delay >= minutes(5));
      RC_ASSERT(verdict.delay <= minutes(60));
    }
  }
}

RC_GTEST_PROP(RestartPolicyProperty, WithoutAStableRunDelaysOnlyGrow, ()) {
  const auto backoff = AnyBackoff();
  const auto jitter = static_cast<double>(*rc::gen::inRange(0, 1001)) / 1000.0;
  RestartPolicy policy;
  Instant now = kBegin;
  Duration last = Duration::zero();
  for (const Death& death : AnyDeaths()) {
    now += death.pause;
    const auto verdict = policy.OnFailure(backoff, Never(), now, kNeverReady, jitter);
    RC_ASSERT(verdict.kind == Kind::kBackoff);
    RC_ASSERT(verdict.delay >= last);
    RC_ASSERT(verdict.delay <= std::max(last * 2 + Duration(2), backoff.initial * 5 / 4));
    last = verdict.delay;
  }
}

RC_GTEST_PROP(RestartPolicyProperty, SoManyFailuresInTheWindowAreAlwaysAQuarantine, ()) {
  const auto backoff = AnyBackoff();
  const auto quarantine = AnyQuarantine();
  RestartPolicy policy;
  Instant now = kBegin;
  std::deque<Instant> counted;  // failures since the last clean slate or quarantine
  for (Death death : AnyDeaths()) {
    now += death.pause;
    if (death.ready_for >= backoff.stable) death.ready_for = kNeverReady;
    const auto verdict = policy.OnFailure(backoff, quarantine, now, death.ready_for, death.jitter);
    counted.push_back(now);
    while (now - counted.front() > quarantine.window) counted.pop_front();
    if (verdict.kind == Kind::kQuarantine) {
      counted.clear();
    } else {
      RC_ASSERT(counted.size() < quarantine.failures);
    }
  }
}

RC_GTEST_PROP(RestartPolicyProperty, ZeroFailuresMeansNoQuarantineEver, ()) {
  const auto backoff = AnyBackoff();
  RestartPolicy policy;
  Instant now = kBegin;
  for (const Death& death : AnyDeaths()) {
    now += death.pause;
    const auto verdict = policy.OnFailure(backoff, Never(), now, death.ready_for, death.jitter);
    RC_ASSERT(verdict.kind != Kind::kQuarantine);
  }
}

RC_GTEST_PROP(RestartPolicyProperty, AnInitialDelayOfZeroMeansAtOnceEveryTime, ()) {
  auto backoff = AnyBackoff();
  backoff.initial = Duration::zero();
  RestartPolicy policy;
  Instant now = kBegin;
  for (const Death& death : AnyDeaths()) {
    now += death.pause;
    RC_ASSERT(policy.OnFailure(backoff, Never(), now, death.ready_for, death.jitter) == Verdict{});
  }
}

RC_GTEST_PROP(RestartPolicyProperty, ASuccessorGoesOnAsIfNothingHadHappened, ()) {
  const auto backoff = AnyBackoff();
  const auto quarantine = AnyQuarantine();
  RestartPolicy policy;
  Instant now = kBegin;
  for (const Death& death : AnyDeaths()) {
    now += death.pause;
    Writer writer;
    policy.Save(writer);
    Reader reader(writer.bytes());
    RestartPolicy successor;
    successor.Restore(reader);
    RC_ASSERT(reader.Done());
    RC_ASSERT(successor == policy);
    const auto expected = policy.OnFailure(backoff, quarantine, now, death.ready_for, death.jitter);
    RC_ASSERT(successor.OnFailure(backoff, quarantine, now, death.ready_for, death.jitter) ==
              expected);
    RC_ASSERT(successor == policy);
  }
}

}  // namespace
}  // namespace plugind::supervisor
