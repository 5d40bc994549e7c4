#include "daemon/observe/log_line.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "daemon/observe/text.h"

namespace plugind::observe {
namespace {

struct Case {
  std::string line;
  Level level;
  std::string message;
  std::string module = "";
  std::string time = "";
  Fields fields = {};
};

ParsedLine ParseStderr(std::string_view line) {
  bool failing = false;
  return ParseLine(Source::kStderr, line, failing);
}

class KnownForms : public testing::TestWithParam<Case> {};

TEST_P(KnownForms, IsUnderstood) {
  const Case& expected = GetParam();
  const ParsedLine line = ParseStderr(expected.line);
  EXPECT_EQ(line.level, expected.level) << expected.line;
  EXPECT_EQ(line.message, expected.message) << expected.line;
  EXPECT_EQ(line.module, expected.module) << expected.line;
  EXPECT_EQ(line.plugin_time, expected.time) << expected.line;
  EXPECT_EQ(line.fields, expected.fields) << expected.line;
}

INSTANTIATE_TEST_SUITE_P(
    Json, KnownForms,
    testing::Values(
        Case{
            R"({"@level":"warn","@message":"low","@module":"kv.db","@timestamp":"2024-01-02T03:04:05.000000Z","n":3})",
            Level::kWarn,
            "low",
            "kv.db",
            "2024-01-02T03:04:05.000000Z",
            {{"n", "3"}}},
        Case{R"({"@level":"trace","@message":"m"})", Level::kTrace, "m"},
        Case{R"({"@level":"error","@message":"m","level":"mine","time":"t"})",
             Level::kError,
             "m",
             "",
             "",
             {{"level", "mine"}, {"time", "t"}}},
        Case{R"({"level":"info","ts":1700000000.5,"logger":"main","caller":"a.go:1","msg":"zap"})",
             Level::kInfo,
             "zap",
             "main",
             "1700000000.5",
             {{"caller", "a.go:1"}}},
        Case{R"({"level":"dpanic","msg":"zap"})", Level::kError, "zap"},
        Case{R"({"level":"warning","msg":"logrus","time":"2024-01-02T03:04:05Z"})", Level::kWarn,
             "logrus", "", "2024-01-02T03:04:05Z"},
        Case{R"({"time":"t","level":"INFO","msg":"slog","a":{"b":[1,"x",null]},"c":true})",
             Level::kInfo,
             "slog",
             "",
             "t",
             {{"a", R"({"b":[1,"x",null]})"}, {"c", "true"}}},
        Case{R"({"level":"DEBUG-4","msg":"slog"})", Level::kDebug, "slog"},
        Case{R"({"level":"ERROR+2","msg":"slog"})", Level::kError, "slog"},
        Case{R"({"level":"info","message":"zerolog"})", Level::kInfo, "zerolog"},
        Case{R"({"severity":"CRITICAL","message":"gcp"})", Level::kError, "gcp"},
        Case{R"({"lvl":"dbg","msg":"short"})", Level::kDebug, "short"},
        Case{R"({"level":30,"time":1531171074631,"pid":657,"msg":"pino"})",
             Level::kInfo,
             "pino",
             "",
             "1531171074631",
             {{"pid", "657"}}},
        Case{R"({"level":60,"msg":"pino"})", Level::kError, "pino"},
        Case{R"({"z":1,"level":"info","a":2,"msg":"in order","m":3})",
             Level::kInfo,
             "in order",
             "",
             "",
             {{"z", "1"}, {"a", "2"}, {"m", "3"}}},
        Case{R"({"level":"info","msg":"twice","msg":"second","x":1,"x":2})",
             Level::kInfo,
             "twice",
             "",
             "",
             {{"msg", "second"}, {"x", "1"}, {"x", "2"}}},
        Case{R"({"@level":"info","@message":1})", Level::kInfo, "1"},
        Case{R"({"@level":"info","@message":{"a":[{"b":-1.50}]}})", Level::kInfo,
             R"({"a":[{"b":-1.50}]})"},
        Case{R"({"@level":"info","@message":"a","k":[[],{},"",[1,[2,{"x":"\"q\"\n"}]]]})",
             Level::kInfo,
             "a",
             "",
             "",
             {{"k", R"([[],{},"",[1,[2,{"x":"\"q\"\n"}]]])"}}},
        Case{R"({"@level":"info"})", Level::kInfo, ""},
        Case{"{\"level\":\"info\",\"msg\":\"bad \xFF byte\"}", Level::kInfo, "bad \uFFFD byte"},
        Case{R"({"level":"info","msg":"a\nb\u001b[2J\u2028c"})", Level::kInfo,
             "a\\nb\\x1b[2J\\u2028c"}));

INSTANTIATE_TEST_SUITE_P(
    NotOurJson, KnownForms,
    testing::Values(
        Case{R"({"@message":1})", Level::kDebug, R"({"@message":1})"},
        Case{R"({"@level":"loud","@message":"x"})", Level::kDebug,
             R"({"@level":"loud","@message":"x"})"},
        Case{R"({"level":["info"],"msg":"x"})", Level::kDebug, R"({"level":["info"],"msg":"x"})"},
        Case{R"({"level":35,"msg":"x"})", Level::kDebug, R"({"level":35,"msg":"x"})"},
        Case{R"({"a":1})", Level::kDebug, R"({"a":1})"}, Case{R"({})", Level::kDebug, R"({})"},
        Case{R"({"level":"info","msg":"x"} tail)", Level::kDebug,
             R"({"level":"info","msg":"x"} tail)"},
        Case{R"({"level":"info","msg":"x")", Level::kDebug, R"({"level":"info","msg":"x")"},
        Case{R"({"level":"info","n":1e999})", Level::kDebug, R"({"level":"info","n":1e999})"},
        Case{R"({"level":"info","msg":"\ud800"})", Level::kDebug,
             R"({"level":"info","msg":"\ud800"})"},
        Case{R"(["level","info"])", Level::kDebug, R"(["level","info"])"},
        Case{"null", Level::kDebug, "null"}, Case{"{", Level::kDebug, "{"}));

INSTANTIATE_TEST_SUITE_P(
    Prefixes, KnownForms,
    testing::Values(Case{"[WARN] disk is full", Level::kWarn, "disk is full"},
                    Case{"[ERROR] x", Level::kError, "x"},
                    Case{"[INFO]  kv: ready: n=1", Level::kInfo, "kv: ready: n=1"},
                    Case{"[trace] x", Level::kTrace, "x"}, Case{"[DEBUG]x", Level::kDebug, "x"},
                    Case{"[ERR]: x", Level::kError, "x"},
                    Case{"2024/01/02 03:04:05 [WARN] std log", Level::kWarn, "std log", "",
                         "2024/01/02 03:04:05"},
                    Case{"2024-01-02T03:04:05.678Z [INFO]  kv: hclog text: k=v", Level::kInfo,
                         "kv: hclog text: k=v", "", "2024-01-02T03:04:05.678Z"},
                    Case{"2024-01-02T03:04:05.678+0100 [ERROR] x", Level::kError, "x", "",
                         "2024-01-02T03:04:05.678+0100"},
                    Case{"2024-01-02T03:04:05.123456Z  WARN my::crate: tracing", Level::kWarn,
                         "my::crate: tracing", "", "2024-01-02T03:04:05.123456Z"},
                    Case{"[2024-01-02T03:04:05Z ERROR my::crate] env_logger", Level::kError,
                         "env_logger", "my::crate", "2024-01-02T03:04:05Z"},
                    Case{"2024-01-02 03:04:05,678 - app.db - WARNING - python", Level::kWarn,
                         "python", "app.db", "2024-01-02 03:04:05,678"},
                    Case{"2024-01-02 03:04:05,678 - INFO - python", Level::kInfo, "python", "",
                         "2024-01-02 03:04:05,678"},
                    Case{"2024-01-02 03:04:05 ERROR python", Level::kError, "python", "",
                         "2024-01-02 03:04:05"},
                    Case{"03:04:05 INFO x", Level::kInfo, "x", "", "03:04:05"},
                    Case{"WARNING:root:python", Level::kWarn, "python", "root"},
                    Case{"CRITICAL:app.db:down: 3", Level::kError, "down: 3", "app.db"},
                    Case{"DEBUG:asyncio:", Level::kDebug, "", "asyncio"},
                    Case{"ERROR: cannot open", Level::kError, "cannot open"},
                    Case{"warning: unused", Level::kWarn, "unused"},
                    Case{"Info: x", Level::kInfo, "x"}, Case{"<3>err", Level::kError, "err"},
                    Case{"<4>warning", Level::kWarn, "warning"},
                    Case{"<5>notice", Level::kInfo, "notice"},
                    Case{"<6> info", Level::kInfo, " info"},
                    Case{"<7>debug", Level::kDebug, "debug"}, Case{"<0>", Level::kError, ""},
                    Case{"I1120 09:11:21.123456   12345 file.cc:123] glog",
                         Level::kInfo,
                         "glog",
                         "",
                         "1120 09:11:21.123456",
                         {{"caller", "file.cc:123"}}},
                    Case{"W1120 09:11:21.123456       1 reflector.go:324] klog",
                         Level::kWarn,
                         "klog",
                         "",
                         "1120 09:11:21.123456",
                         {{"caller", "reflector.go:324"}}},
                    Case{"E0000 00:00:1700000000.123456    7 server.cc:9] absl",
                         Level::kError,
                         "absl",
                         "",
                         "0000 00:00:1700000000.123456",
                         {{"caller", "server.cc:9"}}},
                    Case{"F20241120 09:11:21.123456 7 a.cc:1] new glog",
                         Level::kError,
                         "new glog",
                         "",
                         "20241120 09:11:21.123456",
                         {{"caller", "a.cc:1"}}},
                    Case{"[WARN] windows\r", Level::kWarn, "windows"}));

INSTANTIATE_TEST_SUITE_P(
    Logfmt, KnownForms,
    testing::Values(Case{R"(time=2024-01-02T03:04:05.678Z level=WARN msg="two words" n=3)",
                         Level::kWarn,
                         "two words",
                         "",
                         "2024-01-02T03:04:05.678Z",
                         {{"n", "3"}}},
                    Case{R"(level=info msg=one err="a \"b\" \\ \n c")",
                         Level::kInfo,
                         "one",
                         "",
                         "",
                         {{"err", "a \"b\" \\ \\n c"}}},
                    Case{"ts=1 lvl=dbg msg= k=", Level::kDebug, "", "", "1", {{"k", ""}}}));

INSTANTIATE_TEST_SUITE_P(
    Raw, KnownForms,
    testing::Values(Case{"just text", Level::kDebug, "just text"}, Case{"", Level::kDebug, ""},
                    Case{"[notalevel] x", Level::kDebug, "[notalevel] x"},
                    Case{"[WARN", Level::kDebug, "[WARN"}, Case{"[]", Level::kDebug, "[]"},
                    Case{"<8>x", Level::kDebug, "<8>x"}, Case{"<4", Level::kDebug, "<4"},
                    Case{"ERROR", Level::kDebug, "ERROR"},
                    Case{"errors: 3", Level::kDebug, "errors: 3"},
                    Case{"ERROR:root", Level::kDebug, "ERROR:root"},
                    Case{"Error opening x", Level::kDebug, "Error opening x"},
                    Case{"I1120 text", Level::kDebug, "I1120 text"},
                    Case{"Information about x: y", Level::kDebug, "Information about x: y"},
                    Case{"level=info", Level::kDebug, "level=info"},
                    Case{"a=1 b=2", Level::kDebug, "a=1 b=2"},
                    Case{"level=info msg=\"open", Level::kDebug, "level=info msg=\"open"},
                    Case{"2024-01-02 released", Level::kDebug, "2024-01-02 released"},
                    Case{"10:30 info is here", Level::kDebug, "10:30 info is here"},
                    Case{"  indented", Level::kDebug, "  indented"}));

TEST(LogLineTest, StdoutIsInfoWhereNothingElseIsSaid) {
  bool failing = false;
  EXPECT_EQ(ParseLine(Source::kStdout, "hello", failing).level, Level::kInfo);
  EXPECT_EQ(ParseLine(Source::kStdout, "[DEBUG] hello", failing).level, Level::kDebug);
}

TEST(LogLineTest, APanicIsAnErrorUntilALineOfAKnownForm) {
  for (const char* first : {"panic: boom", "fatal error: all goroutines are asleep - deadlock!",
                            "Traceback (most recent call last):"}) {
    bool failing = false;
    EXPECT_EQ(ParseLine(Source::kStderr, "before", failing).level, Level::kDebug);
    EXPECT_EQ(ParseLine(Source::kStderr, first, failing).level, Level::kError);
    EXPECT_EQ(ParseLine(Source::kStderr, "", failing).level, Level::kError);
    EXPECT_EQ(ParseLine(Source::kStderr, "goroutine 1 [running]:", failing).level, Level::kError);
    EXPECT_EQ(ParseLine(Source::kStderr, "\tmain.go:7", failing).level, Level::kError);
    EXPECT_EQ(ParseLine(Source::kStderr, "[INFO] caught it", failing).level, Level::kInfo);
    EXPECT_EQ(ParseLine(Source::kStderr, "after", failing).level, Level::kDebug);
  }
}

TEST(LogLineTest, JsonDeeperOrWiderThanALogLineStaysWhole) {
  std::string deep = R"({"level":"info","a":)";
  deep += std::string(1000, '[') + std::string(1000, ']') + "}";
  EXPECT_EQ(ParseStderr(deep).level, Level::kDebug);
  EXPECT_EQ(ParseStderr(deep).message, deep);
  std::string wide = R"({"level":"info")";
  for (int i = 0; i < 1000; ++i) wide += ",\"k\":1";
  wide += "}";
  EXPECT_EQ(ParseStderr(wide).level, Level::kDebug);
  EXPECT_EQ(ParseStderr(wide).message, wide);
}

bool IsClean(std::string_view text) { return Sanitized(text) == text; }

// What a plugin could gain by it: a second line, another's name, a level by cursor movement.
TEST(LogLineTest, NothingInALineCanForgeAnother) {
  const std::vector<std::string> attempts = {
      "ok\r2024-01-02T03:04:05Z ERROR plugind: forged",
      "ok\x1b[1G\x1b[2Kforged",
      "ok\u2028forged",
      "ok\u0085"
      "forged",
      "ok\x0b"
      "forged",
      "ok\x0c"
      "forged",
      "\u202Edegrof",
      R"({"level":"info","msg":"a\nforged","k\nforged":"v\rforged","@module":"m\u001b[2J"})",
      R"({"@level":"info","@message":"\u0000\u009b2J","@module":"m\n","@timestamp":"t\nforged"})",
      "time=\"x\\nforged\" level=info msg=\"a\\nforged\" k=\x1b[0m",
      "WARNING:root:a\x1b]0;title\x07",
      "<3>a\rforged",
  };
  for (const auto& attempt : attempts) {
    const ParsedLine line = ParseStderr(attempt);
    EXPECT_TRUE(IsClean(line.message)) << attempt;
    EXPECT_TRUE(IsClean(line.module)) << attempt;
    EXPECT_TRUE(IsClean(line.plugin_time)) << attempt;
    for (const auto& [key, value] : line.fields) EXPECT_TRUE(IsClean(key) && IsClean(value));
  }
}

TEST(LogLineTest, AnyBytesBecomeCleanTextOfBoundedLength) {
  const std::vector<std::string> pieces = {"{",
                                           "}",
                                           "\"level\":\"info\"",
                                           ",",
                                           "\"msg\":",
                                           "\"@message\":",
                                           "1",
                                           "null",
                                           "[",
                                           "]",
                                           "\"",
                                           "\\u001b",
                                           "\\",
                                           "[WARN] ",
                                           "<4>",
                                           "ERROR:",
                                           "root:",
                                           "level=info",
                                           " ",
                                           "k=\"",
                                           "2024-01-02T03:04:05Z ",
                                           "I1120 ",
                                           "09:11:21.1 ",
                                           "7 ",
                                           "a.cc:1] ",
                                           "\x7f",
                                           "\xFF",
                                           "\u2028",
                                           "\x1b",
                                           "\r",
                                           std::string(1, '\0'),
                                           "panic: "};
  std::mt19937 random(3);
  bool failing = false;
  for (int i = 0; i < 20000; ++i) {
    std::string bytes;
    for (size_t n = random() % 12; n > 0; --n) {
      bytes += random() % 4 ? pieces[random() % pieces.size()]
                            : std::string(1, static_cast<char>(random()));
    }
    const ParsedLine line = ParseLine(Source::kStderr, bytes, failing);
    size_t size = line.message.size() + line.module.size() + line.plugin_time.size();
    ASSERT_TRUE(IsClean(line.message) && IsClean(line.module) && IsClean(line.plugin_time))
        << bytes;
    for (const auto& [key, value] : line.fields) {
      ASSERT_TRUE(IsClean(key) && IsClean(value)) << bytes;
      size += key.size() + value.size();
    }
    ASSERT_LE(size, kMaxExpansion * bytes.size()) << bytes;
  }
}

}  // namespace
}  // namespace plugind::observe
