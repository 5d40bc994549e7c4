#include <google/protobuf/util/time_util.h>

#include <nlohmann/json.hpp>

#include "daemon/pluginctl/testing/daemon_test.h"

namespace plugind::pluginctl::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

class StatusTest : public DaemonTest {};

TEST_F(StatusTest, AlignsItsTableToWhatIsInIt) {
  daemon_.Add("greeter");
  daemon_.Add("a-plugin-with-a-long-name", [](v1::Plugin& plugin) {
    plugin.set_state(v1::Plugin::STARTING);
    plugin.set_phase("handshake");
    plugin.set_pid(7);
    plugin.set_restarts(12);
    plugin.set_reason("första försöket");
  });
  const Result result = Ctl({"status"});
  EXPECT_EQ(result.code, 0);
  EXPECT_EQ(result.err, "");
  EXPECT_EQ(
      result.out,
      "NAME                       STATE      PID  RESTARTS    AGE  REASON\n"
      "a-plugin-with-a-long-name  STARTING     7        12  2h05m  handshake; första försöket\n"
      "greeter                    READY     4242         0  2h05m\n");
}

TEST_F(StatusTest, JsonIsOneDocumentWithEveryPlainField) {
  daemon_.Add("greeter", [](v1::Plugin& plugin) {
    plugin.set_protocol_version(1);
    (*plugin.mutable_capabilities())["greeter.v1"] = "1.0";
    plugin.mutable_last_exit()->set_signal(9);
  });
  for (const std::vector<std::string>& arguments :
       {std::vector<std::string>{"status", "-o", "json"}, {"status", "greeter", "--output=json"}}) {
    const Result result = Ctl(arguments);
    EXPECT_EQ(result.code, 0);
    const auto document = nlohmann::json::parse(result.out);
    ASSERT_EQ(document.at("plugins").size(), 1u);
    const auto& plugin = document["plugins"][0];
    EXPECT_EQ(plugin.at("name"), "greeter");
    EXPECT_EQ(plugin.at("state"), "READY");
    EXPECT_EQ(plugin.at("phase"), "");
    EXPECT_EQ(plugin.at("reason"), "");
    EXPECT_EQ(plugin.at("pid"), 4242);
    EXPECT_EQ(plugin.at("restarts"), 0);
    EXPECT_EQ(plugin.at("protocolVersion"), 1);
    EXPECT_EQ(plugin.at("services"), nlohmann::json::array());
    EXPECT_EQ(plugin.at("capabilities").at("greeter.v1"), "1.0");
    EXPECT_EQ(plugin.at("lastExit").at("signal"), 9);
    EXPECT_EQ(plugin.at("lastExit").at("code"), 0);
  }
}

TEST_F(StatusTest, AnEmptyListIsStillADocument) {
  EXPECT_EQ(Ctl({"status", "-o", "json"}).out, "{\"plugins\":[]}\n");
}

TEST_F(StatusTest, CheckExitsWithThreeUnlessEveryWantedPluginIsReady) {
  daemon_.Add("good");
  daemon_.Add("unwanted", [](v1::Plugin& plugin) {
    plugin.set_state(v1::Plugin::STOPPED);
    plugin.set_wanted(false);
  });
  daemon_.Add("disabled", [](v1::Plugin& plugin) {
    plugin.set_state(v1::Plugin::STOPPED);
    plugin.set_enabled(false);
  });
  EXPECT_EQ(Ctl({"status", "--check"}).code, 0);
  daemon_.Add("bad", [](v1::Plugin& plugin) { plugin.set_state(v1::Plugin::UNREADY); });
  const Result result = Ctl({"status", "--check"});
  EXPECT_EQ(result.code, 3);
  EXPECT_EQ(result.err, "pluginctl: 1 of 4 not ready: bad (UNREADY)\n");
  EXPECT_THAT(result.out, HasSubstr("good"));
  EXPECT_EQ(Ctl({"status", "good", "--check"}).code, 0);
  EXPECT_EQ(Ctl({"status", "bad", "--check", "-o", "json"}).code, 3);
}

TEST_F(StatusTest, OnePluginIsShownWithItsLastExitAndTheEndOfItsStderr) {
  daemon_.Add("kv", [](v1::Plugin& plugin) {
    plugin.set_state(v1::Plugin::BACKOFF);
    plugin.set_pid(0);
    plugin.set_reason("exited with code 3");
    plugin.set_config_file("/etc/plugind/plugins.d/kv.toml");
    *plugin.mutable_next_start_at() = google::protobuf::util::TimeUtil::GetCurrentTime() +
                                      google::protobuf::util::TimeUtil::SecondsToDuration(90);
    plugin.mutable_last_exit()->set_reason("exited with code 3");
    std::string tail;
    for (int i = 1; i <= 30; ++i) tail += "line " + std::to_string(i) + "\n";
    plugin.mutable_last_exit()->set_stderr_tail(tail);
  });
  const Result result = Ctl({"status", "kv"});
  EXPECT_EQ(result.code, 0);
  EXPECT_THAT(result.out, StartsWith("● kv BACKOFF since 20"));
  EXPECT_THAT(result.out, HasSubstr("Reason: exited with code 3\n"));
  EXPECT_THAT(result.out, HasSubstr("(in 1m"));
  EXPECT_THAT(result.out, HasSubstr("/etc/plugind/plugins.d/kv.toml; enabled, wanted\n"));
  EXPECT_THAT(result.out, HasSubstr("Last exit: exited with code 3\n"));
  EXPECT_THAT(result.out, HasSubstr("|  line 21\n"));
  EXPECT_THAT(result.out, HasSubstr("|  line 30\n"));
  EXPECT_THAT(result.out, Not(HasSubstr("line 20\n")));
}

TEST_F(StatusTest, WhatAPluginSaysCannotDriveTheTerminal) {
  daemon_.Add("evil", [](v1::Plugin& plugin) {
    plugin.set_reason("\x1b]0;pwned\x07 red\nfake  READY");
    plugin.mutable_last_exit()->set_stderr_tail("\x1b[2J\xE2\x80\xAEgone\r\n");
  });
  for (const std::vector<std::string>& arguments :
       {std::vector<std::string>{"status"}, {"status", "evil"}}) {
    const std::string out = Ctl(arguments).out;
    EXPECT_THAT(out, HasSubstr("\\x1b]0;pwned\\x07 red\\x0afake  READY"));
    EXPECT_THAT(out, Not(HasSubstr("\x1b")));
    EXPECT_THAT(out, Not(HasSubstr("\xE2\x80\xAE")));
  }
}

TEST_F(StatusTest, ColoursAndCutsOnlyOnATerminal) {
  const std::string reason(100, 'x');
  daemon_.Add("kv", [&](v1::Plugin& plugin) { plugin.set_reason(reason); });
  EXPECT_THAT(Ctl({"status"}).out, HasSubstr(reason + "\n"));

  ProcessOptions options = Options();
  options.terminal = true;
  options.env["TERM"] = "xterm";
  const std::string coloured = Pluginctl({"status"}, options).out;
  EXPECT_THAT(coloured, HasSubstr("\x1b[32mREADY\x1b[0m"));
  EXPECT_THAT(coloured, HasSubstr("…"));
  EXPECT_THAT(coloured, Not(HasSubstr(reason)));

  options.env["NO_COLOR"] = "1";
  EXPECT_THAT(Pluginctl({"status"}, options).out, Not(HasSubstr("\x1b")));
  options.env.erase("NO_COLOR");
  options.env["TERM"] = "dumb";
  EXPECT_THAT(Pluginctl({"status"}, options).out, Not(HasSubstr("\x1b")));
}

TEST_F(StatusTest, ThousandsOfStderrTailsFitIntoOneAnswer) {
  for (int i = 0; i < 1500; ++i) {
    daemon_.Add("p" + std::to_string(i), [](v1::Plugin& plugin) {
      plugin.mutable_last_exit()->set_stderr_tail(std::string(4096, 'e'));
    });
  }
  const Result result = Ctl({"status", "-o", "json"});
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_EQ(nlohmann::json::parse(result.out).at("plugins").size(), 1500u);
}

TEST_F(StatusTest, ReadsOnceMoreWhenTheDaemonHangsUpUnderTheCall) {
  daemon_.Add("kv");
  daemon_.FailOnce("ListPlugins", grpc::Status(grpc::StatusCode::UNAVAILABLE, "Socket closed"));
  EXPECT_EQ(Ctl({"status"}).code, 0);
  EXPECT_EQ(daemon_.Calls("ListPlugins"), 2);
}

TEST_F(StatusTest, InfoTellsAboutTheDaemon) {
  const Result text = Ctl({"info"});
  EXPECT_EQ(text.code, 0);
  EXPECT_THAT(text.out, HasSubstr("9.8.7"));
  EXPECT_EQ(nlohmann::json::parse(Ctl({"info", "-o", "json"}).out).at("keeperPid"), 100);
}

}  // namespace
}  // namespace plugind::pluginctl::testing
