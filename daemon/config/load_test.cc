// Whole configurations on disk: what loads, and what only shows across files.
#include "daemon/config/load.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "daemon/config/test_folder.h"

namespace plugind::config {
namespace {

using std::chrono::microseconds;
using std::chrono::minutes;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;

constexpr auto kCommand = "command = [\"./kv\"]\n";

// The two files of interface.md, word for word.
constexpr auto kGreeterToml =
    R"(command = ["/usr/lib/plugind/plugins/greeter", "--verbose"]   # the only required key; relative paths start at this file
enabled = true
env = { LANG = "C.UTF-8" }            # the plugin's environment is this, what plugind sets, and PATH, HOME, LANG, TZ; nothing else leaks in
working_directory = "/var/lib/greeter"
magic_cookie = { key = "BASIC_PLUGIN", value = "hello" }      # default: PLUGIND_PLUGIN = "1"
protocol_versions = [1]               # application protocol versions offered in the handshake
network = ["unix"]                    # add "tcp" to allow a loopback TCP address
start_timeout = "10s"                 # spawn to READY
restart = "on-failure"                # always | on-failure | never
after = ["kv"]                        # started once these are READY

[backoff]
initial = "200ms"                     # "0ms": at once, every time
max = "60s"
stable = "60s"                        # READY for this long: the next death restarts at once and the count begins anew

[quarantine]
failures = 5                          # 0: never
window = "60s"

[health]
interval = "5s"
timeout = "2s"
failures = 3

[stop]
drain = "30s"
grace = "10s"

[call]                                # how the gateway treats calls to this plugin
timeout = "30s"                       # for callers that set no deadline
max_in_flight = 1000
idempotent = ["/greeter.v1.Greeter/Greet"]   # may be sent again

[access]
callers = ["uid:1000", "group:apps", "plugin:frontend", "*"]   # who may call it; default: same uid as plugind, root
calls = ["kv/*", "kv/kv.v1.KV/*", "kv/kv.v1.KV/Get"]   # peers that this plugin may call

[capabilities]
offer = { "greeter.emoji" = "1.0" }   # the host's side of the negotiation, beside the built-in ones
require = ["greeter.v1"]

[config]                              # the plugin's own settings, handed to it by Configure; a change here is a hot reload
greeting = "Hello"
)";

constexpr auto kPlugindToml = R"([daemon]
log_level = "info"                    # trace | debug | info | warn | error
log_format = "auto"                   # text on a terminal, else json
restarts_per_second = 10              # over all plugins; 0: no limit

[control]                             # who may do what on plugind.sock; root and plugind's own uid are admins
viewers = []                          # "uid:1000", "group:staff", "*"
operators = []
admins = []

[gateway]
threads = 1
spin = "50us"                         # how long to poll before sleeping while calls are passing; "0us": never
hold = "10s"                          # how long a call may wait for its plugin to come back

[metrics]
listen = "127.0.0.1:9464"             # or "unix:PATH", or "" for none
)";

class LoadTest : public ::testing::Test {
 protected:
  LoadResult LoadAll() const { return Load(folder_.Path("plugind.toml"), {}); }
  std::vector<std::string> Messages() const {
    std::vector<std::string> messages;
    for (const auto& problem : LoadAll().problems) {
      messages.push_back(problem.ToString().substr(folder_.Path("").size()));
    }
    return messages;
  }
  // A plugin file that needs others.
  void WriteAfter(const std::string& name, const std::string& after) const {
    folder_.Write(fmt::format("plugins.d/{}.toml", name),
                  fmt::format("{}after = [{}]\n", kCommand, after));
  }

  TestFolder folder_;
};

TEST_F(LoadTest, TakesTheExamplesOfTheInterface) {
  folder_.Write("plugind.toml", kPlugindToml);
  folder_.Write("plugins.d/greeter.toml", kGreeterToml);
  folder_.Write("plugins.d/kv.toml", kCommand);
  const auto result = LoadAll();
  ASSERT_THAT(result.problems, IsEmpty());
  EXPECT_EQ(result.config.daemon, DaemonConfig());

  PluginConfig greeter;
  greeter.name = "greeter";
  greeter.file = folder_.Path("plugins.d/greeter.toml");
  greeter.command = {"/usr/lib/plugind/plugins/greeter", "--verbose"};
  greeter.env = {{"LANG", "C.UTF-8"}};
  greeter.working_directory = "/var/lib/greeter";
  greeter.magic_cookie = {"BASIC_PLUGIN", "hello"};
  greeter.after = {"kv"};
  greeter.call.idempotent = {"/greeter.v1.Greeter/Greet"};
  greeter.access.callers = {"uid:1000", "group:apps", "plugin:frontend", "*"};
  greeter.access.calls = {"kv/*", "kv/kv.v1.KV/*", "kv/kv.v1.KV/Get"};
  greeter.capabilities.offer = {{"greeter.emoji", "1.0"}};
  greeter.capabilities.require = {"greeter.v1"};
  greeter.settings = R"({"greeting":"Hello"})";
  EXPECT_EQ(result.config.plugins.at("greeter"), greeter);
}

TEST_F(LoadTest, TakesEveryKeyWithAnotherValueThanItsDefault) {
  folder_.Write("plugind.toml", R"(
[daemon]
log_level = "trace"
log_format = "json"
restarts_per_second = 0
log_buffer = "1MiB"
watchdog = "5s"
[control]
viewers = ["*"]
operators = ["group:staff"]
admins = ["uid:1000"]
[gateway]
threads = 4
spin = "0us"
hold = "1m30s"
held_calls = 0
connections_per_caller = 2
streams_per_connection = 3
metadata = "64KiB"
handshake_timeout = "1s"
resets_per_second = 4
control_frames_per_second = 5
[metrics]
listen = "unix:metrics.sock"
)");
  folder_.Write("plugins.d/a.toml", R"(
name = "alpha-1"
command = ["../bin/alpha", "", "-v", "-v"]
enabled = false
env = { A = "1", "b.c-d" = "" }
working_directory = "./work"
magic_cookie = { key = "PLUGIN_MAGIC_COOKIE", value = "x" }
protocol_versions = [5, 6]
network = ["unix", "tcp"]
auto_mtls = true
start_timeout = "1.5s"
restart = "never"
backoff = { initial = "0ms", max = "2m", stable = "0s" }
quarantine.failures = 0
quarantine.window = "1h"
limits = { nofile = 4096, core = "unlimited" }
[health]
interval = "100ms"
timeout = "50ms"
failures = 1
unready_limit = "5m"
[stop]
drain = "0s"
shutdown = "1s"
grace = "500us"
[call]
timeout = "24h"
max_in_flight = 1
)");
  const auto result = LoadAll();
  ASSERT_THAT(result.problems, IsEmpty());

  DaemonConfig daemon;
  daemon.log_level = LogLevel::kTrace;
  daemon.log_format = LogFormat::kJson;
  daemon.restarts_per_second = 0;
  daemon.log_buffer = 1024 * 1024;
  daemon.watchdog = seconds(5);
  daemon.viewers = {"*"};
  daemon.operators = {"group:staff"};
  daemon.admins = {"uid:1000"};
  daemon.gateway_threads = 4;
  daemon.gateway_spin = Duration::zero();
  daemon.gateway_hold = seconds(90);
  daemon.gateway_limits = {0, 2, 3, 64 * 1024, seconds(1), 4, 5};
  daemon.metrics_listen = "unix:" + folder_.Path("metrics.sock");
  EXPECT_EQ(result.config.daemon, daemon);

  PluginConfig alpha;
  alpha.name = "alpha-1";
  alpha.file = folder_.Path("plugins.d/a.toml");
  alpha.command = {folder_.Path("plugins.d/../bin/alpha"), "", "-v", "-v"};
  alpha.enabled = false;
  alpha.env = {{"A", "1"}, {"b.c-d", ""}};
  alpha.working_directory = folder_.Path("plugins.d/work");
  alpha.magic_cookie = {"PLUGIN_MAGIC_COOKIE", "x"};
  alpha.protocol_versions = {5, 6};
  alpha.allow_tcp = true;
  alpha.auto_mtls = true;
  alpha.start_timeout = milliseconds(1500);
  alpha.restart = Restart::kNever;
  alpha.backoff = {Duration::zero(), minutes(2), Duration::zero()};
  alpha.quarantine = {0, minutes(60)};
  alpha.limits = {4096, UINT64_MAX};
  alpha.health = {milliseconds(100), milliseconds(50), 1, minutes(5)};
  alpha.stop = {Duration::zero(), seconds(1), microseconds(500)};
  alpha.call.timeout = minutes(24 * 60);
  alpha.call.max_in_flight = 1;
  alpha.settings = "{}";
  EXPECT_THAT(result.config.plugins, ElementsAre(Pair("alpha-1", alpha)));
}

TEST_F(LoadTest, HandsTheSettingsOverAsJsonWithSortedKeys) {
  folder_.Write("plugind.toml", "");
  folder_.Write("plugins.d/kv.toml", std::string(kCommand) + R"(
[config]
z = 9007199254740992
a = { y = [1, "zwölf", { }], x = -0.5 }
flag = true
whole = 1.0
quote = "\"\\\n"
at = 1979-05-27 00:32:00.120-07:30
utc = 1979-05-27T07:32:00Z
local = 1979-05-27T07:32:00
day = 1979-05-27
time = 07:32:00.5
)");
  const auto result = LoadAll();
  ASSERT_THAT(result.problems, IsEmpty());
  EXPECT_EQ(result.config.plugins.at("kv").settings,
            R"({"a":{"x":-0.5,"y":[1,"zwölf",{}]},"at":"1979-05-27T00:32:00.12-07:30",)"
            R"("day":"1979-05-27","flag":true,"local":"1979-05-27T07:32:00","quote":"\"\\\n",)"
            R"("time":"07:32:00.5","utc":"1979-05-27T07:32:00Z","whole":1.0,)"
            R"("z":9007199254740992})");
}

TEST_F(LoadTest, MissesPlugindTomlOnlyWhenItWasNamed) {
  folder_.Write("plugins.d/kv.toml", kCommand);
  EXPECT_THAT(Messages(), ElementsAre("plugind.toml: cannot be read: No such file or directory"));
  const auto result = Load(folder_.Path("plugind.toml"), {.file_required = false});
  EXPECT_THAT(result.problems, IsEmpty());
  EXPECT_EQ(result.config.daemon, DaemonConfig());
  EXPECT_TRUE(result.config.plugins.contains("kv"));
}

TEST_F(LoadTest, NeedsNoFolderOfPlugins) {
  folder_.Write("plugind.toml", "");
  EXPECT_TRUE(LoadAll().ok());
}

TEST_F(LoadTest, RefusesAFileInPlaceOfTheFolder) {
  folder_.Write("plugind.toml", "");
  folder_.Write("plugins.d", "");
  EXPECT_THAT(Messages(), ElementsAre("plugins.d: cannot be read: Not a directory"));
}

TEST_F(LoadTest, PassesOverWhatIsNoPluginFile) {
  folder_.Write("plugind.toml", "");
  for (const auto* name : {".hidden.toml", "kv.toml~", "kv.toml.bak", "README", ".git/kv.toml",
                           "folder.toml/kv.toml"}) {
    folder_.Write(std::string("plugins.d/") + name, "no TOML");
  }
  EXPECT_TRUE(LoadAll().ok());
  EXPECT_TRUE(LoadAll().config.plugins.empty());
}

TEST_F(LoadTest, FollowsLinksAsConfigMapsHaveThem) {
  folder_.Write("plugind.toml", "");
  folder_.Write("plugins.d/..data/kv.toml", kCommand);
  ASSERT_EQ(symlink("..data/kv.toml", folder_.Path("plugins.d/kv.toml").c_str()), 0);
  const auto result = LoadAll();
  ASSERT_THAT(result.problems, IsEmpty());
  EXPECT_THAT(result.config.plugins.at("kv").command, ElementsAre(folder_.Path("plugins.d/kv")));
}

TEST_F(LoadTest, NamesTheReasonWhyAFileCannotBeRead) {
  folder_.Write("plugind.toml", "");
  folder_.Write("plugins.d/a.toml", kCommand);
  ASSERT_EQ(symlink("nowhere", folder_.Path("plugins.d/b.toml").c_str()), 0);
  ASSERT_EQ(mkfifo(folder_.Path("plugins.d/c.toml").c_str(), 0600), 0);
  EXPECT_THAT(Messages(), ElementsAre("plugins.d/b.toml: cannot be read: No such file or directory",
                                      "plugins.d/c.toml: cannot be read: not a regular file"));
}

TEST_F(LoadTest, NamesAFileThatItMayNotRead) {
  folder_.Write("plugind.toml", "");
  folder_.Write("plugins.d/a.toml", kCommand);
  ASSERT_EQ(chmod(folder_.Path("plugins.d/a.toml").c_str(), 0), 0);
  const bool root = geteuid() == 0;
  if (root) {  // root may read everything: be somebody else meanwhile
    ASSERT_EQ(chmod(folder_.Path("").c_str(), 0755), 0);
    ASSERT_EQ(seteuid(65534), 0);
  }
  const auto messages = Messages();
  if (root) {
    ASSERT_EQ(seteuid(0), 0);
  }
  EXPECT_THAT(messages, ElementsAre("plugins.d/a.toml: cannot be read: Permission denied"));
}

TEST_F(LoadTest, RefusesAFileLargerThanAMebibyte) {
  std::string text = kCommand;
  text.resize(1024 * 1024, '#');
  folder_.Write("plugind.toml", "");
  folder_.Write("plugins.d/kv.toml", text);
  EXPECT_TRUE(LoadAll().ok());
  folder_.Write("plugins.d/kv.toml", text + "#");
  EXPECT_THAT(Messages(), ElementsAre("plugins.d/kv.toml: the file is larger than 1048576 bytes"));
}

TEST_F(LoadTest, TakesAnEmptyEnvironmentAndNoMetrics) {
  folder_.Write("plugind.toml", "[metrics]\nlisten = \"\"\n");
  folder_.Write("plugins.d/kv.toml", std::string(kCommand) + "env = {}\n");
  const auto result = LoadAll();
  EXPECT_THAT(result.problems, IsEmpty());
  EXPECT_EQ(result.config.daemon.metrics_listen, "");
}

TEST_F(LoadTest, LooksUpUserAndGroupWhenItIsRoot) {
  folder_.Write("plugind.toml", "");
  folder_.Write("plugins.d/kv.toml",
                std::string(kCommand) + "user = \"daemon\"\ngroup = \"tty\"\n");
  const auto result = LoadAll();
  if (geteuid() == 0) {
    ASSERT_THAT(result.problems, IsEmpty());
    EXPECT_EQ(result.config.plugins.at("kv").identity->uid, 1u);
    EXPECT_EQ(result.config.plugins.at("kv").identity->gid, 5u);
  } else {
    EXPECT_THAT(Messages(),
                ElementsAre("plugins.d/kv.toml:2:8: \"user\": plugind must run as root for this",
                            "plugins.d/kv.toml:3:9: \"group\": plugind must run as root for this"));
  }
}

TEST_F(LoadTest, NamesAnUnknownUserInItsPlace) {
  if (geteuid() != 0) return;  // said already: nobody but root may have one
  folder_.Write("plugind.toml", "");
  folder_.Write("plugins.d/kv.toml", std::string(kCommand) + "user = \"no-such-user\"\n");
  EXPECT_THAT(Messages(), ElementsAre("plugins.d/kv.toml:2:8: \"user\": there is no user "
                                      "\"no-such-user\""));
}

TEST_F(LoadTest, TakesRelativePathsFromTheWorkingDirectory) {
  folder_.Write("plugind.toml", "[daemon]\nlog_level = 1\n");
  const auto before = std::filesystem::current_path();
  std::filesystem::current_path(folder_.Path(""));
  const auto result = Load("./plugind.toml", {});
  std::filesystem::current_path(before);
  const auto file = std::filesystem::canonical(folder_.Path("plugind.toml")).string();
  EXPECT_THAT(result.problems,
              ElementsAre(Problem{file, 2, 13, "\"log_level\" must be a string, not an integer"}));
}

TEST_F(LoadTest, ReportsTheErrorsOfAllFilesInOrder) {
  folder_.Write("plugind.toml", "[gateway]\nthreads = 0\n");
  folder_.Write("plugins.d/b.toml", "command = \n");
  folder_.Write("plugins.d/a.toml", "[health]\nfailures = 0\n\n[stop]\ndrian = \"1s\"\n");
  EXPECT_THAT(
      Messages(),
      ElementsAre(
          "plugind.toml:2:11: \"threads\" must be between 1 and 64, not 0",
          "plugins.d/a.toml: \"command\" is missing: the program and its arguments, such as "
          "[\"./kv\"]",
          "plugins.d/a.toml:2:12: \"failures\" must be between 1 and 1000, not 0",
          "plugins.d/a.toml:5:1: unknown key \"drian\"; did you mean \"drain\"?",
          "plugins.d/b.toml:1:11: invalid TOML (key-value pair): expected value, saw '\\n'"));
}

TEST_F(LoadTest, RefusesAFileWhoseStemIsNoName) {
  folder_.Write("plugind.toml", "");
  folder_.Write("plugins.d/My Plugin.toml", kCommand);
  EXPECT_THAT(Messages(),
              ElementsAre("plugins.d/My Plugin.toml: the file's stem \"My Plugin\" is no plugin "
                          "name: 1 to 48 of a-z, 0-9, \"-\", \"_\" and \".\", with a letter or "
                          "digit at both ends; rename it or set \"name\""));
  folder_.Write("plugins.d/My Plugin.toml", std::string(kCommand) + "name = \"mine\"\n");
  EXPECT_TRUE(LoadAll().ok());
}

TEST_F(LoadTest, NamesBothFilesOfANameThatIsTakenTwice) {
  folder_.Write("plugind.toml", "");
  folder_.Write("plugins.d/a.toml", std::string(kCommand) + "name = \"kv\"\n");
  folder_.Write("plugins.d/kv.toml", kCommand);
  folder_.Write("plugins.d/z.toml", std::string(kCommand) + "\n  name = \"kv\"\n");
  EXPECT_THAT(
      Messages(),
      ElementsAre(fmt::format("plugins.d/kv.toml: plugin \"kv\" is already defined by {}:2:8",
                              folder_.Path("plugins.d/a.toml")),
                  fmt::format("plugins.d/z.toml:3:10: plugin \"kv\" is already defined by {}:2:8",
                              folder_.Path("plugins.d/a.toml"))));
}

TEST_F(LoadTest, GuessesAtAPluginThatAfterMistypes) {
  folder_.Write("plugind.toml", "");
  WriteAfter("greeter", "\"kv\", \"worcount\", \"nothing-like-it\"");
  WriteAfter("wordcount", "");
  WriteAfter("kv", "");
  EXPECT_THAT(
      Messages(),
      ElementsAre(
          "plugins.d/greeter.toml:2:16: \"after\": there is no plugin \"worcount\"; did you "
          "mean \"wordcount\"?",
          "plugins.d/greeter.toml:2:28: \"after\": there is no plugin "
          "\"nothing-like-it\""));
}

TEST_F(LoadTest, DoesNotCallAfterWrongWhenTheOtherFileIsBroken) {
  folder_.Write("plugind.toml", "");
  WriteAfter("greeter", "\"kv\"");
  folder_.Write("plugins.d/kv.toml", "command = [\n");
  EXPECT_THAT(Messages(), ElementsAre(::testing::StartsWith("plugins.d/kv.toml:")));
}

TEST_F(LoadTest, PrintsTheCircleThatAfterGoesIn) {
  folder_.Write("plugind.toml", "");
  WriteAfter("a", "\"d\"");  // leads to the circle, is not on it
  WriteAfter("b", "\"e\", \"c\"");
  WriteAfter("c", "\"d\"");
  WriteAfter("d", "\"b\"");
  WriteAfter("e", "");
  WriteAfter("self", "\"self\"");
  WriteAfter("x", "\"y\"");
  WriteAfter("y", "\"x\"");
  EXPECT_THAT(Messages(),
              ElementsAre("plugins.d/b.toml:2:15: \"after\" goes in a circle: b → c → d → b",
                          "plugins.d/self.toml:2:10: \"after\" goes in a circle: self → self",
                          "plugins.d/x.toml:2:10: \"after\" goes in a circle: x → y → x"));
}

TEST_F(LoadTest, TakesDiamondsAndLongChainsForNoCircle) {
  folder_.Write("plugind.toml", "");
  WriteAfter("top", "\"left\", \"right\"");
  WriteAfter("left", "\"bottom\"");
  WriteAfter("right", "\"bottom\"");
  WriteAfter("bottom", "\"n0\"");
  for (int i = 0; i < 200; ++i) WriteAfter(fmt::format("n{}", i), fmt::format("\"n{}\"", i + 1));
  WriteAfter("n200", "");
  EXPECT_THAT(Messages(), IsEmpty());
}

TEST_F(LoadTest, CountsWhatItLeavesOutOfAHopelessFile) {
  std::string text = kCommand;
  for (int i = 0; i < 150; ++i) text += fmt::format("zzzzz{} = 1\n", i);
  folder_.Write("plugind.toml", "");
  folder_.Write("plugins.d/kv.toml", text);
  const auto messages = Messages();
  ASSERT_EQ(messages.size(), 101u);
  EXPECT_EQ(messages.front(), "plugins.d/kv.toml: 50 more problems in this file");
}

// toml++ alone would overflow the stack on the first of these.
TEST_F(LoadTest, SurvivesAnyDepthOfNesting) {
  const auto repeat = [](const std::string& text, int count) {
    std::string all;
    for (int i = 0; i < count; ++i) all += text;
    return all;
  };
  folder_.Write("plugind.toml", "");
  const auto expect = [&](const std::string& text, const std::string& message) {
    folder_.Write("plugins.d/kv.toml", kCommand + text);
    EXPECT_THAT(Messages(), ElementsAre("plugins.d/kv.toml:" + message));
  };
  expect("[config]\na" + repeat(".a", 400'000) + " = 1\n",
         "3:32: a dotted key of more than 16 parts");
  expect("[config" + repeat(".a", 400'000) + "]\n", "2:38: a dotted key of more than 16 parts");
  expect("[config]\na" + repeat(".\"\\\"\"", 16) + " = 1\n",
         "3:77: a dotted key of more than 16 parts");
  expect("[config]\na = " + repeat("[", 500'000) + "\n", "3:37: nested more than 32 deep");
  expect("[config]\na = " + repeat("{ a = ", 100'000) + "\n", "3:197: nested more than 32 deep");

  folder_.Write("plugins.d/kv.toml",
                kCommand + ("[config.a" + repeat(".a", 14)) + "]\nb" + repeat(".b", 15) + " = " +
                    repeat("[", 31) + "{ c" + repeat(".c", 15) + " = \"" + repeat(".[{", 1000) +
                    "\" }" + repeat("]", 31) + "\ntext = \"\"\"" + repeat("\"\".[{", 1000) +
                    "\"\"\"\"\"\nlast = '" + repeat(".[{\"#", 1000) + "' # " +
                    repeat(".[{'", 1000) + "\n");
  EXPECT_THAT(Messages(),
              ElementsAre("plugins.d/kv.toml:3:36: [config] is nested deeper than 32 levels"));
}

TEST(ProblemTest, PrintsLikeACompiler) {
  EXPECT_EQ((Problem{"a.toml", 3, 1, "wrong"}).ToString(), "a.toml:3:1: wrong");
  EXPECT_EQ((Problem{"a.toml", 0, 0, "wrong"}).ToString(), "a.toml: wrong");
}

TEST(ProblemTest, PrintsAsJsonWhateverTheFileIsCalled) {
  EXPECT_EQ(ProblemsAsJson({}), R"({"ok":true,"problems":[]})");
  EXPECT_EQ(ProblemsAsJson({{"a\xff\n.toml", 3, 1, "unknown key \"x\""}}),
            "{\"ok\":false,\"problems\":[{\"column\":1,\"file\":\"a\xef\xbf\xbd\\n.toml\","
            "\"line\":3,\"message\":\"unknown key \\\"x\\\"\"}]}");
}

}  // namespace
}  // namespace plugind::config
