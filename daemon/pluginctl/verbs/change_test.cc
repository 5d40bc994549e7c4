#include <signal.h>

#include "daemon/pluginctl/testing/daemon_test.h"

namespace plugind::pluginctl::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

void Dead(v1::Plugin& plugin) { plugin.set_pid(0); }

class ChangeTest : public DaemonTest {
 protected:
  void AddStopped(const std::string& name) {
    daemon_.Add(name, [](v1::Plugin& plugin) {
      plugin.set_state(v1::Plugin::STOPPED);
      plugin.set_wanted(false);
      plugin.set_pid(0);
      plugin.set_instance("");
    });
  }

  static Step Starting(const std::string& instance) {
    return {v1::Plugin::STARTING, "", instance, [](v1::Plugin& plugin) {
              plugin.set_wanted(true);
              plugin.set_pid(77);
            }};
  }

  // How a process that printed `tail` ended.
  static std::function<void(v1::Plugin&)> Exited(const std::string& tail) {
    return [tail](v1::Plugin& plugin) {
      plugin.set_pid(0);
      plugin.mutable_last_exit()->set_instance(plugin.instance());
      plugin.mutable_last_exit()->set_code(3);
      plugin.mutable_last_exit()->set_stderr_tail(tail);
      plugin.set_instance("");
    };
  }
};

TEST_F(ChangeTest, StartEndsWhenThePluginIsReady) {
  AddStopped("kv");
  daemon_.Script("StartPlugin", "kv", {Starting("b2")});
  const auto start = Begin({"start", "kv"});
  daemon_.AwaitFollowers(1);
  daemon_.Move("kv", {v1::Plugin::READY});
  const Result result = start->Wait();
  EXPECT_EQ(result.code, 0);
  EXPECT_EQ(result.out, "");
  EXPECT_EQ(result.err, "kv STARTING\nkv: ready (pid 77)\n");
}

TEST_F(ChangeTest, StartOfAReadyPluginIsDoneAtOnce) {
  daemon_.Add("kv");
  EXPECT_EQ(Ctl({"start", "kv"}).code, 0);
  EXPECT_EQ(daemon_.Calls("WatchEvents"), 0);
}

TEST_F(ChangeTest, WhatHappensBetweenTheRequestAndTheFirstLookIsSeen) {
  AddStopped("kv");
  daemon_.Script("StartPlugin", "kv", {Starting("b2"), {v1::Plugin::READY}, {v1::Plugin::UNREADY}});
  EXPECT_EQ(Ctl({"start", "kv"}).code, 0);
}

TEST_F(ChangeTest, AFailedStartGivesItsReasonAndTheEndOfStderr) {
  for (const State state : {v1::Plugin::BACKOFF, v1::Plugin::QUARANTINED, v1::Plugin::FAILED}) {
    AddStopped("kv");
    daemon_.Script(
        "StartPlugin", "kv",
        {Starting("b2"), {state, "exited with code 3", "-", Exited("cannot open\ndatabase\n")}});
    const Result result = Ctl({"start", "kv"});
    EXPECT_EQ(result.code, 1);
    EXPECT_THAT(result.err, HasSubstr("kv: " + v1::Plugin::State_Name(state) +
                                      ": exited with code 3\n  | cannot open\n  | database\n"));
  }
}

TEST_F(ChangeTest, AnOldDeathIsNotShownForANewFailure) {
  daemon_.Add("kv", [](v1::Plugin& plugin) {
    plugin.set_state(v1::Plugin::STOPPED);
    plugin.mutable_last_exit()->set_instance("a0");
    plugin.mutable_last_exit()->set_stderr_tail("last year's trouble\n");
  });
  daemon_.Script("StartPlugin", "kv", {{v1::Plugin::FAILED, "no such file"}});
  const Result result = Ctl({"start", "kv"});
  EXPECT_EQ(result.code, 1);
  EXPECT_EQ(result.err, "kv: FAILED: no such file\n");
}

TEST_F(ChangeTest, APluginThatIsDoneBeforeItIsReadyHasNotStarted) {
  AddStopped("kv");
  daemon_.Script(
      "StartPlugin", "kv",
      {Starting("b2"), {v1::Plugin::STOPPED, "exited with code 0", "-", Exited("bye\n")}});
  const Result result = Ctl({"start", "kv"});
  EXPECT_EQ(result.code, 1);
  EXPECT_THAT(result.err, HasSubstr("kv: STOPPED: exited with code 0\n  | bye\n"));
}

TEST_F(ChangeTest, AStartThatSomebodyElseStopsHasFailed) {
  AddStopped("kv");
  daemon_.Script("StartPlugin", "kv", {Starting("b2")});
  const auto start = Begin({"start", "kv"});
  daemon_.AwaitFollowers(1);
  daemon_.Move("kv", {v1::Plugin::STOPPED, "stopped by uid 0", "",
                      [](v1::Plugin& plugin) { plugin.set_wanted(false); }});
  const Result result = start->Wait();
  EXPECT_EQ(result.code, 1);
  EXPECT_THAT(result.err, HasSubstr("kv: STOPPED: stopped by uid 0"));
}

TEST_F(ChangeTest, RestartIsDoneWhenAnotherInstanceIsReady) {
  daemon_.Add("kv");
  // READY still, as a daemon that only notes the wish would answer; then all that a restart passes
  // through.
  daemon_.Script("RestartPlugin", "kv", {{v1::Plugin::READY}});
  const auto restart = Begin({"restart", "kv"});
  daemon_.AwaitFollowers(1);
  daemon_.Move("kv", {v1::Plugin::DRAINING});
  daemon_.Move("kv", {v1::Plugin::STOPPING});
  daemon_.Move("kv", {v1::Plugin::STOPPED, "", "", Dead});
  ASSERT_TRUE(restart->AwaitText("kv STOPPED\n"));
  daemon_.Move("kv", Starting("b2"));
  daemon_.Move("kv", {v1::Plugin::READY});
  const Result result = restart->Wait();
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_EQ(result.err,
            "kv READY\nkv DRAINING\nkv STOPPING\nkv STOPPED\nkv STARTING\nkv: ready (pid 77)\n");
}

TEST_F(ChangeTest, StopEndsWhenThePluginIsStopped) {
  daemon_.Add("kv");
  daemon_.Script(
      "StopPlugin", "kv",
      {{v1::Plugin::DRAINING}, {v1::Plugin::STOPPING}, {v1::Plugin::STOPPED, "", "", Dead}});
  const Result result = Ctl({"stop", "kv"});
  EXPECT_EQ(result.code, 0);
  EXPECT_THAT(result.err, HasSubstr("kv: stopped\n"));
}

TEST_F(ChangeTest, EnableAndDisableWaitToo) {
  daemon_.Add("kv");
  daemon_.Script("DisablePlugin", "kv",
                 {{v1::Plugin::STOPPING}, {v1::Plugin::STOPPED, "", "", Dead}});
  EXPECT_EQ(Ctl({"disable", "kv"}).code, 0);
  daemon_.Script("EnablePlugin", "kv", {Starting("b2"), {v1::Plugin::READY}});
  EXPECT_EQ(Ctl({"enable", "kv"}).code, 0);
  EXPECT_EQ(daemon_.Calls("WatchEvents"), 2);
}

TEST_F(ChangeTest, SeveralAreAskedForTogetherAndEachIsWaitedFor) {
  AddStopped("a");
  AddStopped("b");
  daemon_.Add("c");
  daemon_.Script("StartPlugin", "a", {Starting("a2")});
  daemon_.Script("StartPlugin", "b", {Starting("b2"), {v1::Plugin::FAILED, "bad magic"}});
  const auto start = Begin({"start", "a", "b", "c"});
  ASSERT_TRUE(start->AwaitText("b: FAILED: bad magic\n"));
  daemon_.AwaitFollowers(1);
  daemon_.Move("c", {v1::Plugin::BACKOFF, "after it was seen READY"});
  daemon_.Move("a", {v1::Plugin::READY});
  const Result result = start->Wait();
  EXPECT_EQ(result.code, 1);
  EXPECT_THAT(result.err, HasSubstr("a: ready (pid 77)\n"));
  EXPECT_THAT(result.err, HasSubstr("c: ready (pid 4242)\n"));
}

TEST_F(ChangeTest, ADisabledPluginIsRefusedWithAHint) {
  AddStopped("kv");
  daemon_.FailOnce("StartPlugin", RichStatus(grpc::StatusCode::FAILED_PRECONDITION,
                                             "kv is disabled", "PLUGIN_DISABLED"));
  const Result result = Ctl({"start", "kv"});
  EXPECT_EQ(result.code, 1);
  EXPECT_EQ(result.err, "pluginctl: kv is disabled; \"pluginctl enable kv\" allows it to run\n");
}

TEST_F(ChangeTest, TimeoutSaysWhereItStands) {
  AddStopped("kv");
  daemon_.Script("StartPlugin", "kv", {{v1::Plugin::WAITING, "waits for db"}});
  const Result result = Ctl({"start", "kv", "--timeout", "150ms"});
  EXPECT_EQ(result.code, 7);
  EXPECT_THAT(result.err, HasSubstr("kv: timed out, still WAITING: waits for db\n"));
}

TEST_F(ChangeTest, NoWaitReturnsWithTheAnswer) {
  AddStopped("kv");
  daemon_.Script("StartPlugin", "kv", {Starting("b2")});
  const Result result = Ctl({"start", "kv", "--no-wait"});
  EXPECT_EQ(result.code, 0);
  EXPECT_EQ(result.err, "kv: requested, now STARTING\n");
  EXPECT_EQ(daemon_.Calls("WatchEvents"), 0);
}

TEST_F(ChangeTest, TheDaemonMayDieWhileItIsWaitedFor) {
  AddStopped("kv");
  daemon_.Script("StartPlugin", "kv", {Starting("b2")});
  const auto start = Begin({"start", "kv"});
  daemon_.AwaitFollowers(1);
  daemon_.Kill();
  daemon_.Revive();
  daemon_.AwaitFollowers(1);
  daemon_.Move("kv", {v1::Plugin::READY});
  EXPECT_EQ(start->Wait().code, 0);
  EXPECT_EQ(daemon_.Calls("StartPlugin"), 1);
}

TEST_F(ChangeTest, WhatHappenedWhileTheDaemonWasAwayCounts) {
  AddStopped("kv");
  daemon_.Script("StartPlugin", "kv", {Starting("b2")});
  const auto start = Begin({"start", "kv"});
  daemon_.AwaitFollowers(1);
  daemon_.Kill();
  daemon_.Move("kv", {v1::Plugin::READY});
  daemon_.Revive();
  EXPECT_EQ(start->Wait().code, 0);
}

TEST_F(ChangeTest, ADaemonThatStaysAwayTimesOut) {
  AddStopped("kv");
  daemon_.Script("StartPlugin", "kv", {Starting("b2")});
  const auto start = Begin({"start", "kv", "--timeout", "700ms"});
  daemon_.AwaitFollowers(1);
  daemon_.Kill();
  const Result result = start->Wait();
  EXPECT_EQ(result.code, 7);
  EXPECT_THAT(result.err, HasSubstr("cannot be reached"));
  daemon_.Revive();
}

TEST_F(ChangeTest, InterruptIs130) {
  AddStopped("kv");
  daemon_.Script("StartPlugin", "kv", {Starting("b2")});
  const auto start = Begin({"start", "kv"});
  daemon_.AwaitFollowers(1);
  start->Signal(SIGINT);
  EXPECT_EQ(start->Wait().code, 130);
}

TEST_F(ChangeTest, ATerminalShowsOneLineThatIsOverwritten) {
  AddStopped("kv");
  daemon_.Script("StartPlugin", "kv", {Starting("b2"), {v1::Plugin::READY}});
  ProcessOptions options = Options();
  options.terminal = true;
  options.env["TERM"] = "xterm";
  const Result result = Pluginctl({"start", "kv"}, options);
  EXPECT_EQ(result.code, 0);
  EXPECT_EQ(result.out, "kv STARTING\r\x1b[Kkv: ready (pid 77)\r\n");
}

TEST_F(ChangeTest, ReloadWaitsForWhatItTouched) {
  daemon_.Add("same");
  daemon_.Add("changed");
  daemon_.Add("gone");
  daemon_.Add("broken-before", [](v1::Plugin& plugin) { plugin.set_state(v1::Plugin::FAILED); });
  v1::ReloadResponse response;
  response.add_added("new");
  response.add_changed("changed");
  response.add_removed("gone");
  response.add_unchanged("same");
  response.add_unchanged("broken-before");
  daemon_.SetReload(response, [this] {
    daemon_.Add("new", [](v1::Plugin& plugin) { plugin.set_state(v1::Plugin::STARTING); });
    daemon_.Move("changed", {v1::Plugin::STOPPING});
    daemon_.Move("gone", {v1::Plugin::STOPPING});
  });
  const auto reload = Begin({"reload"});
  daemon_.AwaitFollowers(1);
  daemon_.Move("new", {v1::Plugin::READY});
  daemon_.Move("changed", {v1::Plugin::STARTING, "", "b2"});
  daemon_.Move("changed", {v1::Plugin::READY});
  daemon_.Remove("gone");
  const Result result = reload->Wait();
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_THAT(result.err, HasSubstr("added: new\nremoved: gone\nchanged: changed\n"));
  EXPECT_THAT(result.err, HasSubstr("new: ready"));
  EXPECT_THAT(result.err, HasSubstr("changed: ready"));
  EXPECT_THAT(result.err, HasSubstr("gone: removed\n"));
  EXPECT_THAT(result.err, Not(HasSubstr("broken-before")));
}

TEST_F(ChangeTest, ReloadWaitsForTheAnswerToNewSettings) {
  daemon_.Add("takes");
  daemon_.Add("refuses");
  daemon_.Add("silent-about-backoff");
  v1::ReloadResponse response;
  response.add_updated("takes");
  response.add_updated("refuses");
  response.add_updated("silent-about-backoff");
  const auto pending = [](v1::Plugin& plugin) { plugin.mutable_settings()->set_pending(true); };
  daemon_.SetReload(response, [&] {
    daemon_.Add("takes", pending);
    daemon_.Add("refuses", pending);
  });
  const auto reload = Begin({"reload"});
  daemon_.AwaitFollowers(1);
  daemon_.Add("takes", [](v1::Plugin& plugin) { plugin.mutable_settings()->set_generation(2); });
  daemon_.Move("takes", {v1::Plugin::READY});
  daemon_.Add("refuses", [](v1::Plugin& plugin) {
    plugin.mutable_settings()->set_refused("limits.max: must be positive");
  });
  daemon_.Move("refuses", {v1::Plugin::READY});
  const Result result = reload->Wait();
  EXPECT_EQ(result.code, 1);
  EXPECT_THAT(result.err, HasSubstr("takes: has its new settings\n"));
  EXPECT_THAT(result.err, HasSubstr("refuses: refuses its new settings and goes on with the old "
                                    "ones: limits.max: must be positive\n"));
}

TEST_F(ChangeTest, ReloadOfABadConfigurationListsEveryError) {
  daemon_.FailOnce("Reload",
                   RichStatus(grpc::StatusCode::INVALID_ARGUMENT, "the configuration has 2 errors",
                              "CONFIG_INVALID",
                              {{"/etc/plugind/plugins.d/kv.toml:3:1", "unknown key \"comand\""},
                               {"/etc/plugind/plugind.toml:9:5", "must be a number"}}));
  const Result result = Ctl({"reload"});
  EXPECT_EQ(result.code, 1);
  EXPECT_EQ(result.err,
            "/etc/plugind/plugins.d/kv.toml:3:1: unknown key \"comand\"\n"
            "/etc/plugind/plugind.toml:9:5: must be a number\n"
            "pluginctl: the configuration has 2 errors\n");
}

TEST_F(ChangeTest, AReloadThatChangesNothingSaysSo) {
  daemon_.Add("kv");
  const Result result = Ctl({"reload", "kv"});
  EXPECT_EQ(result.code, 0);
  EXPECT_EQ(result.err, "nothing has changed\n");
}

}  // namespace
}  // namespace plugind::pluginctl::testing
