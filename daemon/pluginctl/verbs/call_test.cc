#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "daemon/pluginctl/testing/daemon_test.h"

namespace plugind::pluginctl::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

class CallTest : public DaemonTest {
 protected:
  Result Call(const std::string& method, const std::string& data,
              const std::vector<std::string>& more = {}) {
    std::vector<std::string> arguments = {"call", "echo/echo.v1.Echo/" + method, "-d", data};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return Ctl(arguments);
  }

  std::string Write(const std::string& name, const std::string& text) {
    std::string path = folder_ + "/" + name;
    std::filesystem::create_directories(std::filesystem::path(path).parent_path());
    std::ofstream(path) << text;
    return path;
  }

  FakePlugin& plugin() { return daemon_.plugin(); }
};

// What a test types into a call that runs.
class Keyboard {
 public:
  explicit Keyboard(const std::string& path) : path_(path) {
    EXPECT_EQ(mkfifo(path.c_str(), 0600), 0);
  }
  // Once somebody reads.
  void Open() { fd_.reset(open(path_.c_str(), O_WRONLY | O_CLOEXEC)); }
  void Type(const std::string& text) {
    EXPECT_EQ(write(fd_.get(), text.data(), text.size()), static_cast<ssize_t>(text.size()));
  }
  void Close() { fd_.reset(); }
  std::string data() const { return "@" + path_; }

 private:
  const std::string path_;
  UniqueFd fd_;
};

TEST_F(CallTest, AMessageGoesThereAndBackAsJson) {
  const std::string message =
      "{\"text\":\"grüß \\\"dich\\\"\",\"number\":\"-9007199254740993\",\"raw\":\"AAH/\","
      "\"at\":\"2026-11-20T12:00:00.500Z\",\"parts\":[{\"name\":\"a\",\"inner\":{\"name\":\"b\"}}],"
      "\"moods\":{\"k\":\"MOOD_GOOD\"}}";
  for (const auto reflection : {FakePlugin::Reflection::kV1, FakePlugin::Reflection::kV1Alpha}) {
    plugin().Offer(reflection);
    const Result result = Call("Say", message);
    EXPECT_EQ(result.code, 0);
    EXPECT_EQ(result.err, "");
    EXPECT_EQ(result.out, message + "\n");
    EXPECT_EQ(plugin().Received("plugind-plugin"), "echo");
  }
}

TEST_F(CallTest, AnAnyMayHoldWhateverThePluginKnows) {
  const std::string message =
      "{\"any\":{\"@type\":\"type.googleapis.com/echo.v1.Rare\",\"name\":\"x\"}}";
  EXPECT_EQ(Call("Say", message).out, message + "\n");
  const std::string time =
      "{\"any\":{\"@type\":\"type.googleapis.com/google.protobuf.Duration\",\"value\":\"1.500s\"}}";
  EXPECT_EQ(Call("Say", time).out, time + "\n");
}

TEST_F(CallTest, WithoutDataAMessageIsEmptyAndAStreamHasNone) {
  EXPECT_EQ(Ctl({"call", "echo/echo.v1.Echo/Say"}).out, "{}\n");
  EXPECT_EQ(Ctl({"call", "echo/echo.v1.Echo/Collect"}).out, "{}\n");
}

TEST_F(CallTest, FieldsWithoutAValueArePrintedOnRequest) {
  const auto document = nlohmann::json::parse(Call("Collect", "", {"--emit-defaults"}).out);
  EXPECT_EQ(document.at("text"), "");
  EXPECT_EQ(document.at("number"), "0");
  EXPECT_EQ(document.at("parts"), nlohmann::json::array());
}

TEST_F(CallTest, ATerminalGetsLinesUnlessJsonIsAskedFor) {
  const auto on_terminal = [this](const std::vector<std::string>& more) {
    std::vector<std::string> argv = {PluginctlPath(), "call", "echo/echo.v1.Echo/Say", "-d",
                                     "{\"text\":\"x\"}"};
    argv.insert(argv.end(), more.begin(), more.end());
    ProcessOptions options = Options();
    options.terminal = true;
    return Process(argv, options).Wait().out;
  };
  EXPECT_EQ(on_terminal({}), "{\r\n \"text\": \"x\"\r\n}\r\n");
  EXPECT_EQ(on_terminal({"-o", "json"}), "{\"text\":\"x\"}\r\n");
}

TEST_F(CallTest, AStreamOfRequestsIsAnyNumberOfDocuments) {
  const std::string documents = "{\"text\":\"a\"}{\"text\":\"b\"}\n{\n\"text\":\"c\"}";
  const std::string all = "{\"text\":\"abc\",\"number\":\"3\"}\n";
  EXPECT_EQ(Call("Collect", documents).out, all);
  EXPECT_EQ(Call("Collect", "@" + Write("requests", documents)).out, all);
  const std::string shell = "printf '%s' '" + documents + "' | " + PluginctlPath() +
                            " call echo/echo.v1.Echo/Collect -d -";
  EXPECT_EQ(Process({"sh", "-c", shell}, Options()).Wait().out, all);
}

TEST_F(CallTest, AStreamOfResponsesIsADocumentALine) {
  EXPECT_EQ(Call("Repeat", "{\"number\":3}").out,
            "{\"number\":\"3\"}\n{\"number\":\"3\"}\n{\"number\":\"3\"}\n");
  EXPECT_EQ(Call("Repeat", "{}").out, "");
}

TEST_F(CallTest, BothStreamsRunAsMessagesArrive) {
  Keyboard keyboard(folder_ + "/in");
  const auto process = Begin({"call", "echo/echo.v1.Echo/Chat", "-d", keyboard.data()});
  keyboard.Open();
  for (const std::string text : {"one", "two", "three"}) {
    keyboard.Type("{\"text\":\"" + text + "\"}");
    EXPECT_TRUE(process->AwaitText("{\"text\":\"" + text + "\"}\n"));
  }
  keyboard.Close();
  EXPECT_EQ(process->Wait().code, 0);
}

TEST_F(CallTest, AServerMayEndTheCallWhileItIsStillBeingTypedTo) {
  Keyboard keyboard(folder_ + "/in");
  const auto process = Begin({"call", "echo/echo.v1.Echo/Chat", "-d", keyboard.data()});
  keyboard.Open();
  keyboard.Type("{\"text\":\"leave\"}");
  const Result result = process->Wait();
  EXPECT_EQ(result.code, 1);
  EXPECT_EQ(result.err, "error: ABORTED: left\n");
}

TEST_F(CallTest, ControlCEndsTheCallAtThePluginToo) {
  const auto process = Begin({"call", "echo/echo.v1.Echo/Hang"});
  plugin().AwaitCalls(1);
  process->Signal(SIGINT);
  EXPECT_EQ(process->Wait().code, 130);
  plugin().AwaitCancelled(1);
}

TEST_F(CallTest, AReaderOfAStreamThatHasGoneEndsTheCall) {
  const auto process = Begin({"call", "echo/echo.v1.Echo/Hang"});
  plugin().AwaitCalls(1);
  process->CloseStdout();
  EXPECT_EQ(process->Wait().code, 0);
  plugin().AwaitCancelled(1);
}

TEST_F(CallTest, TheDeadlineIsThePluginsToo) {
  const Result result = Ctl({"call", "echo/echo.v1.Echo/Hang", "--timeout", "200ms"});
  EXPECT_EQ(result.code, 7);
  EXPECT_THAT(result.err, StartsWith("error: DEADLINE_EXCEEDED: "));
  plugin().AwaitCancelled(1);
}

TEST_F(CallTest, WhatIsNotJsonIsToldWithItsPlaceAndNothingIsCalled) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"{\"txet\":\"a\"}", "the document of line 1: txet: Cannot find field."},
      {"\n{\"number\":\"many\"}", "the document of line 2: (number): invalid value \"many\""},
      {"{\"parts\":[{\"inner\":{\"name\":[]}}]}", "(parts[0].inner) name: "},
      {"{\"text\" \"a\"}", "line 1, column 11: syntax error"},
      {"{\"text\":\"a\"", "--data: line 1: the document that begins here has no end"},
      {"{\"text\":\"a\"},", "line 1: no JSON document begins with ','"},
      {"{}\n{}", "the document of line 2: the method takes one message"},
      {std::string(5000, '['), "no end"},
      {"@/no/such/file", "/no/such/file: No such file or directory"},
      {"@" + folder_, "Is a directory"},
  };
  for (const auto& [data, message] : cases) {
    const Result result = Call("Say", data);
    EXPECT_EQ(result.code, 2) << data;
    EXPECT_THAT(result.err, AllOf(StartsWith("pluginctl: "), HasSubstr(message))) << data;
    EXPECT_EQ(result.out, "");
  }
  EXPECT_EQ(plugin().calls(), 0);
}

TEST_F(CallTest, WhatIsNotJsonInAStreamCancelsTheCall) {
  const Result result = Call("Collect", "{\"text\":\"a\"}\n{\"number\":{}}");
  EXPECT_EQ(result.code, 2);
  EXPECT_THAT(result.err, HasSubstr("the document of line 2: "));
  EXPECT_EQ(result.out, "");
}

TEST_F(CallTest, DeepJsonIsRefusedRatherThanFollowed) {
  std::string deep;
  for (int i = 0; i < 3000; ++i) deep += "{\"inner\":";
  const Result result = Call("Say", "{\"parts\":[" + deep + "{}" + std::string(3000, '}') + "]}");
  EXPECT_EQ(result.code, 2);
  EXPECT_THAT(result.err, HasSubstr("too deep"));
}

TEST_F(CallTest, AnErrorOfThePluginIsShownWithItsDetails) {
  const Result result = Call("Fail",
                             "{\"code\":14,\"message\":\"gone\\u001b[2J\",\"reason\":"
                             "\"PLUGIN_RESTARTING\",\"executed\":\"maybe\"}");
  EXPECT_EQ(result.code, 1);
  EXPECT_EQ(result.out, "");
  EXPECT_EQ(result.err,
            "error: UNAVAILABLE: gone\\x1b[2J\n"
            "  reason: PLUGIN_RESTARTING (plugind)\n"
            "  field: what is wrong\n"
            "  executed: maybe; the plugin was lost under it\n");
}

TEST_F(CallTest, ExitCodesAreThoseOfTheOtherVerbs) {
  const std::vector<std::pair<int, int>> cases = {{1, 1}, {3, 1},  {4, 7},  {5, 1},
                                                  {7, 6}, {12, 1}, {14, 1}, {16, 6}};
  for (const auto& [status, code] : cases) {
    EXPECT_EQ(Call("Fail", "{\"code\":" + std::to_string(status) + "}").code, code) << status;
  }
}

TEST_F(CallTest, AnUnknownPluginIsFourWithTheNearestName) {
  daemon_.Add("echo");
  for (const std::string target : {"ehco", "ehco/echo.v1.Echo", "ehco/echo.v1.Echo/Say"}) {
    const Result result = Ctl({"call", target});
    EXPECT_EQ(result.code, 4);
    EXPECT_EQ(result.err, "pluginctl: no such plugin \"ehco\"; did you mean \"echo\"?\n");
  }
}

TEST_F(CallTest, ADaemonThatIsNotThereIsFive) {
  daemon_.Kill();
  const Result result = Call("Say", "{}");
  EXPECT_EQ(result.code, 5);
  EXPECT_THAT(result.err, HasSubstr("cannot reach plugind"));
}

TEST_F(CallTest, ADeniedReflectionIsDenied) {
  plugin().FailReflection(
      RichStatus(grpc::StatusCode::PERMISSION_DENIED, "uid:1 may not", "ACCESS_DENIED"));
  const Result result = Call("Say", "{}");
  EXPECT_EQ(result.code, 6);
  EXPECT_THAT(result.err, AllOf(StartsWith("error: PERMISSION_DENIED: uid:1 may not\n"),
                                HasSubstr("reason: ACCESS_DENIED")));
}

TEST_F(CallTest, APluginThatDiesUnderReflectionIsAskedAgain) {
  plugin().LoseReflection(2);
  EXPECT_EQ(Call("Say", "{}").out, "{}\n");
  plugin().LoseReflection(99);
  const Result result = Call("Say", "{}");
  EXPECT_EQ(result.code, 1);
  EXPECT_THAT(result.err, StartsWith("error: UNAVAILABLE: lost\n"));
}

TEST_F(CallTest, WithoutReflectionItSaysWhatHelps) {
  plugin().Offer(FakePlugin::Reflection::kNone);
  const Result result = Call("Say", "{}");
  EXPECT_EQ(result.code, 1);
  EXPECT_THAT(result.err, HasSubstr("echo offers no reflection; --proto FILE does without it"));
}

TEST_F(CallTest, AWrongNameIsAnsweredWithTheRightOnes) {
  EXPECT_EQ(Ctl({"call", "echo/echo.v1.Ehco/Say"}).err,
            "pluginctl: echo does not serve \"echo.v1.Ehco\"; did you mean \"echo.v1.Echo\"?\n"
            "  it has echo.v1.Echo\n");
  const Result result = Call("Sya", "{}");
  EXPECT_EQ(result.code, 1);
  EXPECT_EQ(result.err,
            "pluginctl: echo.v1.Echo has no method \"Sya\"; did you mean \"Say\"?\n"
            "  it has Say, Collect, Repeat, Chat, Fail, Hang\n");
}

TEST_F(CallTest, WithoutAMethodItShowsWhatThereIs) {
  EXPECT_EQ(Ctl({"call", "echo"}).out, "echo.v1.Echo\n");
  EXPECT_EQ(Ctl({"call", "echo", "-o", "json"}).out, "{\"services\":[\"echo.v1.Echo\"]}\n");
  EXPECT_THAT(
      Ctl({"call", "echo/echo.v1.Echo"}).out,
      AllOf(HasSubstr("rpc Chat(stream .echo.v1.Message) returns (stream .echo.v1.Message)"),
            HasSubstr("message Failure {\n  int32 code = 1;\n")));
  EXPECT_THAT(Ctl({"call", "echo/echo.v1.Mood"}).out, StartsWith("enum Mood {\n"));
  EXPECT_THAT(Ctl({"call", "echo/echo.v1.Echo.Say"}).out, StartsWith("rpc Say("));
  const auto document = nlohmann::json::parse(Ctl({"call", "echo/echo.v1.Echo", "-o", "json"}).out);
  EXPECT_EQ(
      document.at("methods").at(1),
      nlohmann::json::parse("{\"name\":\"Collect\",\"request\":\"echo.v1.Message\",\"response\":"
                            "\"echo.v1.Message\",\"clientStreaming\":true,"
                            "\"serverStreaming\":false}"));
  EXPECT_EQ(Ctl({"call", "echo/echo.v1.Nothing"}).code, 1);
  EXPECT_EQ(Ctl({"call", "echo/echo.v1.Echo", "-d", "{}"}).code, 2);
}

TEST_F(CallTest, HeadersAreSentAndBothEndsShown) {
  const Result result =
      Call("Say", "{}", {"-v", "-H", "Token: a b", "--header", "blob-bin: AAH/", "-H", "token: c"});
  EXPECT_EQ(result.code, 0);
  EXPECT_EQ(result.out, "{}\n");
  EXPECT_EQ(plugin().Received("token"), "a b");
  EXPECT_EQ(plugin().Received("blob-bin"), std::string("\0\1\xff", 3));
  EXPECT_EQ(result.err, "headers:\n  begun: yes\ntrailers:\n  ended-bin: AAE=\n");
}

TEST_F(CallTest, ALargerMessageThanAllowedIsAnErrorWithoutAnAnswer) {
  const std::string large = "{\"text\":\"" + std::string(100'000, 'x') + "\"}";
  EXPECT_EQ(Call("Say", large).out, large + "\n");
  const Result result = Call("Say", large, {"--max-message", "50KiB"});
  EXPECT_EQ(result.code, 1);
  EXPECT_EQ(result.out, "");
  EXPECT_THAT(result.err, StartsWith("error: RESOURCE_EXHAUSTED: "));
}

TEST_F(CallTest, AFileMayHoldMegabytes) {
  const std::string large = "{\"text\":\"" + std::string(3 << 20, 'x') + "\"}";
  EXPECT_TRUE(Call("Say", "@" + Write("large", large)).out == large + "\n");
}

TEST_F(CallTest, ProtoFilesTellWhatReflectionDoesNot) {
  plugin().Offer(FakePlugin::Reflection::kNone);
  const std::string service = Write("api/echo.proto",
                                    "syntax = \"proto3\";\npackage echo.v1;\n"
                                    "import \"parts/message.proto\";\n"
                                    "service Echo { rpc Say(Message) returns (Message); }\n");
  Write("shared/parts/message.proto",
        "syntax = \"proto3\";\npackage echo.v1;\nimport \"google/protobuf/timestamp.proto\";\n"
        "message Message { string greeting = 1; google.protobuf.Timestamp at = 4; }\n");
  const std::string shared = folder_ + "/shared";
  for (const std::vector<std::string>& options :
       {std::vector<std::string>{"--proto", service, "-I", shared},
        {"-I", folder_ + "/api", "--import=" + shared, "--proto", service}}) {
    const std::string message = "{\"greeting\":\"x\",\"at\":\"2026-11-20T12:00:00Z\"}";
    const Result result = Call("Say", message, options);
    EXPECT_EQ(result.code, 0);
    EXPECT_EQ(result.err, "");
    EXPECT_EQ(result.out, message + "\n");
  }
  EXPECT_EQ(Ctl({"call", "echo", "--proto", service, "-I", shared}).out, "echo.v1.Echo\n");
}

TEST_F(CallTest, ErrorsInProtoFilesHaveTheirPlace) {
  const std::string file = Write("bad.proto", "syntax = \"proto3\";\nmessage M { Nope x = 1; }\n");
  const Result result = Call("Say", "{}", {"--proto", file});
  EXPECT_EQ(result.code, 1);
  EXPECT_THAT(result.err, StartsWith(file + ":2:13: \"Nope\" is not defined.\n"));
  EXPECT_THAT(Call("Say", "{}", {"--proto", folder_ + "/none.proto"}).err,
              HasSubstr("none.proto: File not found."));
  EXPECT_EQ(plugin().calls(), 0);
}

TEST_F(CallTest, WrongUsageIsTwoAndNothingIsCalled) {
  for (const std::vector<std::string>& arguments :
       {std::vector<std::string>{},
        {"UPPER"},
        {"echo/"},
        {"echo//Say"},
        {"echo/echo.v1.Echo/"},
        {"echo/echo.v1.Echo/Say/More"},
        {"/echo.v1.Echo/Say"},
        {"echo/echo..Echo/Say"},
        {"echo/echo.v1.Echo/Say", "other"},
        {"echo/echo.v1.Echo/Say", "-H", "te: trailers"},
        {"echo/echo.v1.Echo/Say", "-H", "plugind-plugin: other"},
        {"echo/echo.v1.Echo/Say", "-H", "a: \xff"},
        {"echo/echo.v1.Echo/Say", "--timeout", "soon"},
        {"echo/echo.v1.Echo/Say", "--max-message", "2GiB"},
        {"echo/echo.v1.Echo/Say", "--max-message", "many"},
        {"echo/echo.v1.Echo/Say", "-o", "yaml"}}) {
    std::vector<std::string> all = {"call"};
    all.insert(all.end(), arguments.begin(), arguments.end());
    const Result result = Ctl(all);
    EXPECT_EQ(result.code, 2) << ::testing::PrintToString(arguments);
    EXPECT_THAT(result.err, StartsWith("pluginctl: ")) << ::testing::PrintToString(arguments);
  }
  EXPECT_EQ(plugin().calls(), 0);
}

}  // namespace
}  // namespace plugind::pluginctl::testing
