#include "daemon/supervisor/launch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <functional>
#include <set>
#include <string>
#include <vector>

#include "daemon/config/diff.h"
#include "daemon/supervisor/testing/temp_dir.h"

namespace plugind::supervisor {
namespace {

using testing::Contains;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

class LaunchTest : public testing::Test {
 protected:
  LaunchTest() {
    std::filesystem::create_directories(directories_.runtime + "/i");
    std::filesystem::create_directories(directories_.state + "/plugins");
    config_.name = "greeter";
    config_.command = {"/bin/true", "--verbose"};
  }

  const TempDir dir_;
  Directories directories_{dir_.Path("run"), dir_.Path("state")};
  config::PluginConfig config_;
};

mode_t ModeOf(const std::string& path) {
  struct stat file {};
  EXPECT_EQ(::stat(path.c_str(), &file), 0) << path;
  return file.st_mode & 07777U;
}

TEST_F(LaunchTest, MakesPrivateDirectoriesWhateverTheUmask) {
  const mode_t before = ::umask(0);
  const auto launch = PrepareLaunch(config_, "7f3a", directories_);
  ::umask(before);
  ASSERT_TRUE(launch.ok()) << launch.status();
  EXPECT_EQ(ModeOf(directories_.Instance("7f3a")), 0700U);
  EXPECT_EQ(ModeOf(directories_.PluginState("greeter")), 0700U);
}

TEST_F(LaunchTest, AsksTheKeeperForWhatTheConfigurationSays) {
  config_.limits = {.nofile = 100, .core = 5};
  const auto launch = PrepareLaunch(config_, "7f3a", directories_);
  ASSERT_TRUE(launch.ok()) << launch.status();
  const SpawnSpec& spec = launch->spec;
  EXPECT_EQ(spec.id, "7f3a");
  EXPECT_EQ(spec.plugin, "greeter");
  EXPECT_EQ(spec.path, "/bin/true");
  EXPECT_EQ(spec.argv, config_.command);
  EXPECT_EQ(spec.working_directory, directories_.PluginState("greeter"));
  EXPECT_EQ(spec.nofile_limit, 100U);
  EXPECT_EQ(spec.core_limit, 5U);
  EXPECT_FALSE(spec.identity);
  EXPECT_TRUE(launch->executable.valid());
}

TEST_F(LaunchTest, AWorkingDirectoryOfItsOwnIsTaken) {
  config_.working_directory = "/";
  const auto launch = PrepareLaunch(config_, "7f3a", directories_);
  ASSERT_TRUE(launch.ok()) << launch.status();
  EXPECT_EQ(launch->spec.working_directory, "/");
}

TEST_F(LaunchTest, NothingOfPlugindsEnvironmentLeaksIn) {
  ::setenv("PLUGIND_TEST_SECRET", "s3cret", 1);
  ::setenv("TZ", "Europe/Berlin", 1);
  const auto launch = PrepareLaunch(config_, "7f3a", directories_);
  ::unsetenv("PLUGIND_TEST_SECRET");
  ::unsetenv("TZ");
  ASSERT_TRUE(launch.ok()) << launch.status();
  const std::vector<std::string>& env = launch->spec.env;
  EXPECT_THAT(env, Not(Contains(HasSubstr("s3cret"))));
  EXPECT_THAT(env, Contains("TZ=Europe/Berlin"));
  const std::string directory = directories_.Instance("7f3a");
  EXPECT_THAT(env, Contains("PLUGIND_PLUGIN=1"));
  EXPECT_THAT(env, Contains("PLUGIN_PROTOCOL_VERSIONS=1"));
  EXPECT_THAT(env, Contains("PLUGIN_MIN_PORT=10000"));
  EXPECT_THAT(env, Contains("PLUGIN_MAX_PORT=25000"));
  EXPECT_THAT(env, Contains("PLUGIN_UNIX_SOCKET_DIR=" + directory));
  EXPECT_THAT(env, Contains("TMPDIR=" + directory));
  EXPECT_THAT(env, Contains("PLUGIND_HOST_ADDRESS=unix:" + directory + "/host.sock"));
  EXPECT_THAT(env, Contains("PLUGIND_NAME=greeter"));
  EXPECT_THAT(env, Contains("PLUGIND_INSTANCE=7f3a"));
  EXPECT_THAT(env, Contains("PLUGIND_STATE_DIR=" + directories_.PluginState("greeter")));
  EXPECT_THAT(env, Not(Contains(HasSubstr("PLUGIN_CLIENT_CERT"))));
}

TEST_F(LaunchTest, HandsTheHostsCertificateOverUnderAutoMtls) {
  config_.env["PLUGIN_CLIENT_CERT"] = "the configuration's";
  const auto launch = PrepareLaunch(config_, "7f3a", directories_, "two\nlines\n");
  ASSERT_TRUE(launch.ok()) << launch.status();
  EXPECT_THAT(launch->spec.env, Contains("PLUGIN_CLIENT_CERT=two\nlines\n"));
}

TEST_F(LaunchTest, ThePluginsOwnEnvironmentCannotBreakTheContract) {
  config_.env = {{"LANG", "xx"}, {"TMPDIR", "/elsewhere"}, {"BASIC_PLUGIN", "no"}};
  config_.magic_cookie = {"BASIC_PLUGIN", "hello"};
  config_.protocol_versions = {5, 6};
  const auto launch = PrepareLaunch(config_, "7f3a", directories_);
  ASSERT_TRUE(launch.ok()) << launch.status();
  const std::vector<std::string>& env = launch->spec.env;
  EXPECT_THAT(env, Contains("LANG=xx"));
  EXPECT_THAT(env, Contains("BASIC_PLUGIN=hello"));
  EXPECT_THAT(env, Contains("TMPDIR=" + directories_.Instance("7f3a")));
  EXPECT_THAT(env, Contains("PLUGIN_PROTOCOL_VERSIONS=5,6"));
  EXPECT_THAT(env, Not(Contains(StartsWith("PLUGIND_PLUGIN="))));
  std::set<std::string> names;
  for (const auto& entry : env)
    EXPECT_TRUE(names.insert(entry.substr(0, entry.find('='))).second) << entry;
}

TEST_F(LaunchTest, AMissingProgramIsTheConfigurationsFault) {
  config_.command = {dir_.Path("nowhere")};
  const auto launch = PrepareLaunch(config_, "7f3a", directories_);
  EXPECT_EQ(launch.status().code(), absl::StatusCode::kNotFound) << launch.status();
}

TEST_F(LaunchTest, ARuntimeDirectoryTooLongForASocketIsSaidBeforeAnythingIsStarted) {
  directories_.runtime = dir_.Path(std::string(90, 'r'));
  const auto launch = PrepareLaunch(config_, "7f3a", directories_);
  EXPECT_EQ(launch.status().code(), absl::StatusCode::kFailedPrecondition) << launch.status();
  EXPECT_THAT(std::string(Message(launch.status())), HasSubstr("is too long"));
}

TEST_F(LaunchTest, ADirectoryThatCannotBeMadeIsNamedAndMayPass) {
  std::filesystem::remove(directories_.runtime + "/i");
  const auto launch = PrepareLaunch(config_, "7f3a", directories_);
  EXPECT_FALSE(launch.ok());
  EXPECT_THAT(std::string(Message(launch.status())), HasSubstr(directories_.Instance("7f3a")));
}

TEST_F(LaunchTest, ALinkInPlaceOfAPluginsDirectoryIsNotFollowed) {
  std::filesystem::create_directory(dir_.Path("victim"));
  ASSERT_EQ(::chmod(dir_.Path("victim").c_str(), 0755), 0);
  std::filesystem::create_symlink(dir_.Path("victim"), directories_.PluginState("greeter"));
  EXPECT_FALSE(PrepareLaunch(config_, "7f3a", directories_).ok());
  EXPECT_EQ(ModeOf(dir_.Path("victim")), 0755U);
}

TEST_F(LaunchTest, AnInstancesDirectoryIsRemovedWithAllThatThePluginLeftInIt) {
  ASSERT_TRUE(PrepareLaunch(config_, "7f3a", directories_).ok());
  dir_.Write("keep", "me");
  const std::string directory = directories_.Instance("7f3a");
  std::filesystem::create_directories(directory + "/a/b/c");
  std::ofstream(directory + "/a/b/file") << "x";
  std::filesystem::create_symlink(dir_.path(), directory + "/link");
  RemoveInstanceDirectory(directories_, "7f3a");
  EXPECT_FALSE(std::filesystem::exists(directory));
  EXPECT_TRUE(dir_.Has("keep"));
  RemoveInstanceDirectory(directories_, "");
  EXPECT_TRUE(std::filesystem::exists(directories_.runtime + "/i"));
}

TEST_F(LaunchTest, InstanceNamesAreNewAndFitTheKeeper) {
  std::set<std::string> seen;
  for (int i = 0; i < 100; ++i) {
    const std::string id = NewInstanceId(directories_);
    EXPECT_EQ(id.size(), 8U);
    EXPECT_EQ(id.find_first_not_of("0123456789abcdef"), std::string::npos) << id;
    EXPECT_TRUE(seen.insert(id).second) << id;
  }
}

TEST_F(LaunchTest, ASpawnFailureIsTheFilesFaultUnlessTheMachineIsShortOfSomething) {
  config_.command = {dir_.Write("plugin", "#!/no/such\n", 0755)};
  const SpawnFailure missing = DiagnoseSpawnFailure(config_, SpawnStep::kExec, ENOENT);
  EXPECT_TRUE(missing.permanent);
  EXPECT_EQ(missing.reason, "cannot execute " + config_.command[0] +
                                ": no such interpreter: /no/such (named by its #! line)");
  for (const int error : {EAGAIN, ENOMEM, EMFILE, ENFILE, ETXTBSY, EINTR, EIO}) {
    EXPECT_FALSE(DiagnoseSpawnFailure(config_, SpawnStep::kFork, error).permanent) << error;
  }
  EXPECT_EQ(DiagnoseSpawnFailure(config_, SpawnStep::kFork, EAGAIN).reason,
            "cannot spawn: fork: Resource temporarily unavailable");
  config_.user = "nobody";
  EXPECT_EQ(DiagnoseSpawnFailure(config_, SpawnStep::kIdentity, EPERM).reason,
            "cannot become user nobody: Operation not permitted");
  config_.limits.nofile = 7;
  EXPECT_EQ(DiagnoseSpawnFailure(config_, SpawnStep::kLimits, EINVAL).reason,
            "cannot set the limits (nofile 7, core 0): Invalid argument");
  config_.working_directory = "/nowhere";
  EXPECT_EQ(DiagnoseSpawnFailure(config_, SpawnStep::kWorkingDirectory, ENOENT).reason,
            "cannot enter the working directory /nowhere: No such file or directory");
}

using Change = std::function<void(config::PluginConfig&)>;

// One change of each field. What plugind compares when it reloads and what it compares when it
// adopts must agree.
const std::vector<std::pair<std::string, Change>>& Changes() {
  static const std::vector<std::pair<std::string, Change>> kChanges = {
      {"command", [](auto& c) { c.command.push_back("x"); }},
      {"command, split otherwise", [](auto& c) { c.command = {"/bin/true--verbose"}; }},
      {"env", [](auto& c) { c.env["A"] = "b"; }},
      {"working_directory", [](auto& c) { c.working_directory = "/"; }},
      {"identity",
       [](auto& c) {
         c.identity = Identity{1000, 1000, {1000}};
       }},
      {"magic_cookie.key", [](auto& c) { c.magic_cookie.key = "K"; }},
      {"magic_cookie.value", [](auto& c) { c.magic_cookie.value = "V"; }},
      {"protocol_versions",
       [](auto& c) {
         c.protocol_versions = {1, 2};
       }},
      {"allow_tcp", [](auto& c) { c.allow_tcp = true; }},
      {"auto_mtls", [](auto& c) { c.auto_mtls = true; }},
      {"limits.nofile", [](auto& c) { c.limits.nofile = 10; }},
      {"limits.core", [](auto& c) { c.limits.core = 10; }},
      {"capabilities.offer", [](auto& c) { c.capabilities.offer["a"] = "1.0"; }},
      {"capabilities.require", [](auto& c) { c.capabilities.require = {"a"}; }},
      {"file", [](auto& c) { c.file = "/elsewhere.toml"; }},
      {"enabled", [](auto& c) { c.enabled = false; }},
      {"start_timeout", [](auto& c) { c.start_timeout = std::chrono::seconds(1); }},
      {"restart", [](auto& c) { c.restart = config::Restart::kNever; }},
      {"after", [](auto& c) { c.after = {"kv"}; }},
      {"backoff", [](auto& c) { c.backoff.max = std::chrono::seconds(1); }},
      {"quarantine", [](auto& c) { c.quarantine.failures = 1; }},
      {"health", [](auto& c) { c.health.failures = 1; }},
      {"stop", [](auto& c) { c.stop.grace = std::chrono::seconds(1); }},
      {"call", [](auto& c) { c.call.max_in_flight = 1; }},
      {"access", [](auto& c) { c.access.callers = {"*"}; }},
      {"settings", [](auto& c) { c.settings = R"({"greeting":"Hello"})"; }},
  };
  return kChanges;
}

TEST_F(LaunchTest, TheFingerprintDiffersExactlyWhenAProcessCouldNotGoOn) {
  const uint64_t before = ProcessFingerprint(config_);
  EXPECT_EQ(ProcessFingerprint(config_), before);
  for (const auto& [what, change] : Changes()) {
    config::PluginConfig changed = config_;
    change(changed);
    EXPECT_EQ(ProcessFingerprint(changed) == before, config::SameProcess(config_, changed)) << what;
  }
}

}  // namespace
}  // namespace plugind::supervisor
