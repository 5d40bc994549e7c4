#include "daemon/pluginctl/goal.h"

#include <gtest/gtest.h>

namespace plugind::pluginctl {
namespace {

using v1::Plugin;

Plugin Snapshot(Plugin::State state, const std::string& instance = "", bool wanted = true) {
  Plugin plugin;
  plugin.set_state(state);
  plugin.set_instance(instance);
  plugin.set_wanted(wanted);
  return plugin;
}

v1::Event Becomes(Plugin::State state, const std::string& instance = "") {
  v1::Event event;
  event.set_to(state);
  event.set_instance(instance);
  return event;
}

TEST(TargetTest, AStartIsReachedByAnyReadyInstance) {
  Target target("kv", Goal::kReady, Snapshot(Plugin::READY, "a1"), false);
  EXPECT_EQ(target.See(Snapshot(Plugin::READY, "a1")), Verdict::kReached);
}

TEST(TargetTest, ARestartIsNotReachedByTheInstanceItReplaces) {
  Target target("kv", Goal::kReady, Snapshot(Plugin::READY, "a1"), true);
  EXPECT_EQ(target.See(Snapshot(Plugin::READY, "a1")), Verdict::kPending);
  EXPECT_EQ(target.See(Becomes(Plugin::UNREADY, "a1")), Verdict::kPending);
  EXPECT_EQ(target.See(Becomes(Plugin::READY, "a1")), Verdict::kPending);
  EXPECT_EQ(target.See(Becomes(Plugin::READY, "b2")), Verdict::kReached);
}

TEST(TargetTest, ARestartIsReachedAfterTheStopWasSeenEvenWithoutAnInstancesName) {
  Target target("kv", Goal::kReady, Snapshot(Plugin::READY, "a1"), true);
  EXPECT_EQ(target.See(Becomes(Plugin::STOPPING, "a1")), Verdict::kPending);
  EXPECT_EQ(target.See(Becomes(Plugin::READY)), Verdict::kReached);
}

TEST(TargetTest, PassingThroughStoppedNeedsASecondLook) {
  Target target("kv", Goal::kReady, Snapshot(Plugin::READY, "a1"), true);
  EXPECT_EQ(target.See(Becomes(Plugin::STOPPED)), Verdict::kAskAgain);
  Plugin between = Snapshot(Plugin::STOPPED);
  between.mutable_last_exit()->set_instance("a1");  // the old one's own end
  EXPECT_EQ(target.See(between), Verdict::kPending);
  between.mutable_last_exit()->set_instance("b2");
  EXPECT_EQ(target.See(between), Verdict::kMissed);
  EXPECT_EQ(target.See(Snapshot(Plugin::STOPPED, "", false)), Verdict::kMissed);
}

TEST(TargetTest, AStopIsReachedByStoppedAlone) {
  Target target("kv", Goal::kStopped, Snapshot(Plugin::READY, "a1"), false);
  for (const Plugin::State state :
       {Plugin::READY, Plugin::DRAINING, Plugin::STOPPING, Plugin::BACKOFF}) {
    EXPECT_EQ(target.See(Becomes(state)), Verdict::kPending);
  }
  EXPECT_EQ(target.See(Becomes(Plugin::STOPPED)), Verdict::kReached);
  EXPECT_EQ(target.See(Snapshot(Plugin::FAILED, "", true)), Verdict::kPending);
  EXPECT_EQ(target.See(Snapshot(Plugin::FAILED, "", false)), Verdict::kReached);
}

TEST(TargetTest, RemovalReachesAStopAndMissesAStart) {
  v1::Event removed = Becomes(Plugin::STOPPED);
  removed.set_type("removed");
  EXPECT_EQ(Target("kv", Goal::kStopped, {}, false).See(removed), Verdict::kReached);
  EXPECT_EQ(Target("kv", Goal::kGone, {}, false).See(removed), Verdict::kReached);
  EXPECT_EQ(Target("kv", Goal::kReady, {}, false).See(removed), Verdict::kMissed);
}

TEST(TargetTest, AStateOfANewerDaemonIsWaitedThrough) {
  Target target("kv", Goal::kReady, {}, false);
  EXPECT_EQ(target.See(Becomes(static_cast<Plugin::State>(99))), Verdict::kPending);
}

}  // namespace
}  // namespace plugind::pluginctl
