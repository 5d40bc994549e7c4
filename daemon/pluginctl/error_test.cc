#include "daemon/pluginctl/error.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>

#include "daemon/base/unique_fd.h"
#include "daemon/pluginctl/testing/daemon_test.h"

namespace plugind::pluginctl::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

class ErrorTest : public DaemonTest {
 protected:
  UniqueFd Bind(const std::string& path) {
    UniqueFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, path.c_str(), sizeof(address.sun_path) - 1);
    EXPECT_EQ(bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
    return fd;
  }
};

TEST_F(ErrorTest, NoSocketMeansUnreachableAndNamesIt) {
  const std::string path = folder_ + "/none.sock";
  for (const std::vector<std::string>& verb : {std::vector<std::string>{"status"},
                                               {"logs", "kv", "-f"},
                                               {"events", "-f"},
                                               {"wait", "kv", "--for", "READY"},
                                               {"start", "kv"},
                                               {"reload"},
                                               {"call", "kv/kv.v1.KV/Get"},
                                               {"info"}}) {
    std::vector<std::string> arguments = {"--socket", path};
    arguments.insert(arguments.end(), verb.begin(), verb.end());
    const Result result = Pluginctl(arguments);
    EXPECT_EQ(result.code, 5) << verb.front();
    EXPECT_THAT(result.err, HasSubstr(path));
    EXPECT_THAT(result.err, HasSubstr("systemctl status plugind"));
    EXPECT_EQ(result.out, "");
  }
}

TEST_F(ErrorTest, ASocketThatNobodyListensOnMeansUnreachable) {
  const std::string path = folder_ + "/left.sock";
  const UniqueFd bound = Bind(path);
  const Result result = Pluginctl({"status", "--socket=unix:" + path});
  EXPECT_EQ(result.code, 5);
  EXPECT_THAT(result.err, HasSubstr("nobody listens there"));
}

TEST_F(ErrorTest, ASocketThatMayNotBeOpenedMeansDenied) {
  const std::string path = folder_ + "/locked.sock";
  UniqueFd bound = Bind(path);
  ASSERT_EQ(listen(bound.get(), 1), 0);
  ASSERT_EQ(chmod(path.c_str(), 0), 0);
  ASSERT_EQ(chmod(folder_.c_str(), 0755), 0);
  std::vector<std::string> argv = {PluginctlPath(), "status", "--socket", path};
  if (geteuid() == 0)
    argv.insert(argv.begin(), {"setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"});
  const Result result = Process(argv).Wait();
  if (result.code == 126 || result.code == 127)
    GTEST_SKIP() << "nobody may not run " << PluginctlPath();
  EXPECT_EQ(result.code, 6);
  EXPECT_THAT(result.err, HasSubstr(path + ": permission denied"));
}

TEST_F(ErrorTest, AnAnswerOfPermissionDeniedMeansDenied) {
  daemon_.FailOnce("ListPlugins", RichStatus(grpc::StatusCode::PERMISSION_DENIED,
                                             "uid 1000 is no viewer", "ACCESS_DENIED"));
  const Result result = Ctl({"status"});
  EXPECT_EQ(result.code, 6);
  EXPECT_EQ(result.err, "pluginctl: denied: uid 1000 is no viewer\n");
}

TEST_F(ErrorTest, AnUnknownPluginIsFourWithTheNearestName) {
  daemon_.Add("greeter");
  daemon_.Add("kv");
  for (const std::vector<std::string>& arguments : {std::vector<std::string>{"status", "greter"},
                                                    {"stop", "kv", "greter"},
                                                    {"logs", "greter"},
                                                    {"wait", "greter", "--for", "READY"}}) {
    const Result result = Ctl(arguments);
    EXPECT_EQ(result.code, 4) << arguments.front();
    EXPECT_EQ(result.err, "pluginctl: no such plugin \"greter\"; did you mean \"greeter\"?\n");
  }
  EXPECT_THAT(Ctl({"status", "something-else"}).err, HasSubstr("\"pluginctl status\" lists them"));
}

TEST_F(ErrorTest, AMisspeltNameChangesNothing) {
  daemon_.Add("kv");
  EXPECT_EQ(Ctl({"stop", "kv", "vk"}).code, 4);
  EXPECT_EQ(daemon_.Calls("StopPlugin"), 0);
}

TEST_F(ErrorTest, ADaemonThatIsGoingDownIsUnreachable) {
  daemon_.FailOnce("ListPlugins", RichStatus(grpc::StatusCode::UNAVAILABLE, "plugind is stopping",
                                             "SHUTTING_DOWN"));
  const Result result = Ctl({"status"});
  EXPECT_EQ(result.code, 5);
  EXPECT_EQ(result.err, "pluginctl: plugind is stopping\n");
}

TEST_F(ErrorTest, WrongUsageIsTwoAndNothingIsCalled) {
  daemon_.Add("kv");
  for (const std::vector<std::string>& arguments :
       {std::vector<std::string>{},
        {"frobnicate"},
        {"status", "--nope"},
        {"status", "a", "b"},
        {"start"},
        {"start", "kv", "kv"},
        {"start", "UPPER"},
        {"status", "../etc"},
        {"start", "kv", "--timeout", "5"},
        {"start", "kv", "--timeout", "-5s"},
        {"start", "kv", "--timeout", "5 s"},
        {"wait", "kv"},
        {"wait", "kv", "--for", "READY,NOPE"},
        {"wait", "kv", "--for", "STATE_UNSPECIFIED"},
        {"logs"},
        {"logs", "kv", "-n", "-1"},
        {"logs", "kv", "--since-seq", "0"},
        {"status", "-o", "yaml"},
        {"config"},
        {"--socket", std::string(108, 'x'), "status"}}) {
    const Result result = Ctl(arguments);
    EXPECT_EQ(result.code, 2) << ::testing::PrintToString(arguments);
    EXPECT_THAT(result.err, StartsWith("pluginctl: ")) << ::testing::PrintToString(arguments);
    EXPECT_EQ(result.out, "");
  }
  EXPECT_EQ(
      daemon_.Calls("StartPlugin") + daemon_.Calls("ListPlugins") + daemon_.Calls("GetPlugin"), 0);
}

TEST_F(ErrorTest, HelpIsNoError) {
  for (const std::vector<std::string>& arguments : {std::vector<std::string>{"--help"},
                                                    {"-h"},
                                                    {"wait", "--help"},
                                                    {"call", "--help"},
                                                    {"config", "show", "--help"}}) {
    const Result result = Pluginctl(arguments);
    EXPECT_EQ(result.code, 0);
    EXPECT_THAT(result.out, HasSubstr("Usage: pluginctl"));
    EXPECT_EQ(result.err, "");
    EXPECT_THAT(result.out, ::testing::Not(HasSubstr("__complete")));
  }
  EXPECT_THAT(Pluginctl({"version"}).out, StartsWith("pluginctl "));
  EXPECT_EQ(Pluginctl({"--version"}).out, Pluginctl({"version"}).out);
}

TEST_F(ErrorTest, TheFlagBeatsTheEnvironmentWhichBeatsTheDefault) {
  daemon_.Add("kv");
  EXPECT_EQ(Pluginctl({"status"}, {.env = {{"PLUGIND_SOCKET", "unix:" + daemon_.socket()}}}).code,
            0);
  EXPECT_EQ(Pluginctl({"--socket", "unix:" + daemon_.socket(), "status"},
                      {.env = {{"PLUGIND_SOCKET", "/nope"}}})
                .code,
            0);
  EXPECT_EQ(Pluginctl({"status", "--socket", "/nope"}, Options()).code, 5);
}

TEST_F(ErrorTest, APathThatLooksLikeAUriIsStillAPath) {
  const std::string odd = folder_ + "/a b%20?#";
  std::filesystem::create_directory(odd);
  std::filesystem::create_symlink(daemon_.socket(), odd + "/s");
  EXPECT_EQ(Pluginctl({"status", "--socket", odd + "/s"}).code, 0);
}

}  // namespace
}  // namespace plugind::pluginctl::testing
