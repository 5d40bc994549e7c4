// Malformed files, each with all that is to be said about it and where. Load must refuse every one
// of them whole.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "daemon/config/load.h"
#include "daemon/config/test_folder.h"

namespace plugind::config {
namespace {

using namespace std::string_literals;

struct Malformed {
  std::string name;
  std::string text;
  std::vector<Problem> problems;  // without the file
};

void PrintTo(const Malformed& malformed, std::ostream* out) { *out << malformed.name; }

Problem At(uint32_t line, uint32_t column, std::string message) {
  return {"", line, column, std::move(message)};
}

const auto kCommand = "command = [\"./kv\"]\n"s;  // line 1 of most, and all that a plugin needs

// How several messages go on.
const auto kNoName =
    R"( is no plugin name: 1 to 48 of a-z, 0-9, "-", "_" and ".", with a letter or digit at both ends)"s;
const auto kNoCaller = R"( is no principal: write "uid:1000", "group:NAME", "plugin:NAME" or "*")"s;
const auto kNoCall =
    R"( is no call: write "PLUGIN/*", "PLUGIN/package.Service/*" or "PLUGIN/package.Service/Method")"s;
const auto kNoMethod = R"( is no method: write "/package.Service/Method")"s;
const auto kNoCapability =
    R"( is no capability: 1 to 128 letters, digits, "-", "_" and ".", with a letter or digit at both ends)"s;
const auto kNoAddress =
    R"( is no address: write "127.0.0.1:PORT", "[::1]:PORT", "unix:PATH", or "" for none)"s;
const auto kNotLoopback =
    R"( is not this machine alone: write 127.0.0.1, [::1] or localhost, or "unix:PATH")"s;
const auto kNoDuration = R"(: durations are strings with a unit: "250ms", "10s", "5m")"s;

std::vector<Malformed> PluginFiles() {
  return {
      {"AnUnfinishedAssignment",
       kCommand + R"(enabled =
)",
       {At(2, 10, R"(invalid TOML (key-value pair): expected value, saw '\n')")}},
      {"AnUnfinishedString",
       R"(command = ["./kv]
)",
       {At(1, 18,
           "invalid TOML (string): unescaped control characters other than TAB (U+0009) are "
           "explicitly prohibited")}},
      {"AnUnknownEscape",
       kCommand + R"(env = { A = "\q" })",
       {At(2, 15, R"(invalid TOML (string): unknown escape sequence '\q')")}},
      {"AKeyTwice",
       kCommand + R"(enabled = true
enabled = false)",
       {At(3, 11, "invalid TOML (key-value pair): cannot redefine existing boolean 'enabled'")}},
      {"ATableTwice",
       kCommand + R"([health]
[stop]
[health])",
       {At(4, 1, "invalid TOML (table header): cannot redefine existing table 'health'")}},
      {"AnUnclosedTable",
       kCommand + R"([health
)",
       {At(2, 8, R"(invalid TOML (table header): expected ']', saw '\n')")}},
      {"ABareWord",
       kCommand + R"(restart = always)",
       {At(2, 11, "invalid TOML (value): could not determine value type")}},
      {"AMissingComma",
       R"(command = ["./kv" "-v"])",
       {At(1, 19, R"(invalid TOML (array): expected comma or closing ']', saw '"')")}},
      {"AnIntegerBeyond64Bits",
       kCommand + R"([quarantine]
failures = 99999999999999999999)",
       {At(3, 32,
           "invalid TOML (decimal integer): '99999999999999999999' is not representable in 64 "
           "bits")}},
      {"AColumnAfterWideCharacters",
       kCommand + R"(env = { A = "äöü", B = ? })",
       {At(2, 27, "invalid TOML (value): could not determine value type")}},
      {"WindowsLineEnds",
       "command = [\"./kv\"]\r\nenabled = 1\r\n",
       {At(2, 11, R"("enabled" must be true or false, not an integer)")}},
      {"AByteOrderMark",
       "\xef\xbb\xbf"
       "command = [\"./kv\"]",
       {At(0, 0, "the file begins with a byte order mark; save it as UTF-8 without one")}},
      {"Utf16",
       "\xff\xfe"
       "c\x00o\x00"s,
       {At(0, 0, "the file is UTF-16; save it as UTF-8")}},
      {"Latin1", kCommand + "env = { A = \"\xe4\" }", {At(2, 14, "invalid UTF-8 (byte 0xe4)")}},
      {"AnOverlongSequence", kCommand + "# \xc0\xaf", {At(2, 3, "invalid UTF-8 (byte 0xc0)")}},
      {"ASurrogate", kCommand + "# \xed\xa0\x80", {At(2, 3, "invalid UTF-8 (byte 0xed)")}},
      {"ANulByte", kCommand + "# \x00"s, {At(2, 3, "a NUL byte")}},
      {"ANulInAString",
       kCommand + R"(working_directory = "/var\u0000")",
       {At(2, 21, "a NUL character")}},
      {"ANulInAKey",
       kCommand + R"([config]
"a\u0000" = [{ b = "\u0000" }])",
       {At(3, 1, "a NUL character"), At(3, 20, "a NUL character")}},
      {"AMistypedKey",
       R"(comand = ["./kv"])",
       {At(1, 1, R"(unknown key "comand"; did you mean "command"?)")}},
      {"SwappedLetters",
       kCommand + R"(enalbed = true)",
       {At(2, 1, R"(unknown key "enalbed"; did you mean "enabled"?)")}},
      {"AMistypedTable",
       kCommand + R"([helth]
interval = "5s")",
       {At(2, 2, R"(unknown key "helth"; did you mean "health"?)")}},
      {"AMistypedKeyInATable",
       kCommand + R"([health]
intervall = "5s")",
       {At(3, 1, R"(unknown key "intervall"; did you mean "interval"?)")}},
      {"ATablesKeyAtTheTop",
       kCommand + R"(interval = "5s")",
       {At(2, 1, R"(unknown key "interval"; it belongs in [health])")}},
      {"ATopKeyBelowATable",
       R"([health]
command = ["./kv"])",
       {At(2, 1,
           R"(unknown key "command"; it belongs at the top of the file, before the first table)")}},
      {"AKeyOfTwoTables",
       kCommand + R"(failures = 3)",
       {At(2, 1, R"(unknown key "failures"; it belongs in [health] or in [quarantine])")}},
      {"AKeyOfAnotherTable",
       kCommand + R"([health]
grace = "5s")",
       {At(3, 1, R"(unknown key "grace"; it belongs in [stop])")}},
      {"AKeyLikeNone", kCommand + R"(zzzzzz = 1)", {At(2, 1, R"(unknown key "zzzzzz")")}},
      {"AKeyInMagicCookie",
       kCommand + R"(magic_cookie = { key = "A", value = "b", vlaue = "c" })",
       {At(2, 42, R"(unknown key "vlaue"; did you mean "value"?)")}},
      {"AKeyThatWouldMoveTheCursor",
       kCommand + R"("\u001b[2J" = 1)",
       {At(2, 1, R"(unknown key "\u001B[2J")")}},
      {"NoCommand",
       R"(enabled = true)",
       {At(0, 0, R"("command" is missing: the program and its arguments, such as ["./kv"])")}},
      {"AnEmptyFile",
       "",
       {At(0, 0, R"("command" is missing: the program and its arguments, such as ["./kv"])")}},
      {"AnEmptyCommand", R"(command = [])", {At(1, 11, R"("command" must not be empty)")}},
      {"ACommandLine",
       R"(command = "./kv --verbose")",
       {At(1, 11, R"("command" must be an array of strings, not a string)")}},
      {"ANumberInTheCommand",
       R"(command = ["./kv", 1])",
       {At(1, 20, R"("command" must be an array of strings, but has an integer)")}},
      {"AnEmptyProgram",
       R"(command = [""])",
       {At(1, 11, R"("command" must begin with a program's path)")}},
      {"AStringForABoolean",
       kCommand + R"(enabled = "yes")",
       {At(2, 11, R"("enabled" must be true or false, not a string)")}},
      {"ATableForABoolean",
       kCommand + R"([enabled])",
       {At(2, 1, R"("enabled" must be true or false, not a table)")}},
      {"AnIntegerForAString",
       kCommand + R"(working_directory = 1)",
       {At(2, 21, R"("working_directory" must be a string, not an integer)")}},
      {"AnIntegerForATable",
       kCommand + R"(health = 5)",
       {At(2, 10, R"("health" must be a table, not an integer)")}},
      {"AnArrayOfTables",
       kCommand + R"([[health]]
interval = "5s")",
       {At(2, 1, R"("health" must be a table, not an array)")}},
      {"AFloatForAnInteger",
       kCommand + R"([quarantine]
failures = 5.0)",
       {At(3, 12, R"("failures" must be an integer, not a float)")}},
      {"AStringForAnArray",
       kCommand + R"(after = "kv")",
       {At(2, 9, R"("after" must be an array of strings, not a string)")}},
      {"AMixedArray",
       kCommand + R"(after = ["a", 1, true])",
       {At(2, 15, R"("after" must be an array of strings, but has an integer)"),
        At(2, 18, R"("after" must be an array of strings, but has a boolean)")}},
      {"ADateForAString",
       kCommand + R"(working_directory = 2026-01-01)",
       {At(2, 21, R"("working_directory" must be a string, not a date or time)")}},
      {"AnArrayForTheEnvironment",
       kCommand + R"(env = ["A=b"])",
       {At(2, 7, R"("env" must be a table of strings, not an array)")}},
      {"ANumberInTheEnvironment",
       kCommand + R"(env = { PORT = 80 })",
       {At(2, 16, R"("PORT" must be a string, not an integer)")}},
      {"AStringForTheSettings",
       kCommand + R"(config = "{}")",
       {At(2, 10, R"("config" must be a table, not a string)")}},
      {"ADurationWithoutAUnit",
       kCommand + R"(start_timeout = "10")",
       {At(2, 17, R"("start_timeout")" + kNoDuration)}},
      {"ADurationAsANumber",
       kCommand + R"(start_timeout = 10)",
       {At(2, 17, R"("start_timeout" must be a duration such as "10s", not an integer)")}},
      {"AnEmptyDuration",
       kCommand + R"(start_timeout = "")",
       {At(2, 17, R"("start_timeout")" + kNoDuration)}},
      {"AnUnknownUnit",
       kCommand + R"(start_timeout = "10sec")",
       {At(2, 17, R"("start_timeout")" + kNoDuration)}},
      {"ASpaceInADuration",
       kCommand + R"(start_timeout = "10 s")",
       {At(2, 17, R"("start_timeout")" + kNoDuration)}},
      {"ANegativeDuration",
       kCommand + R"(start_timeout = "-1s")",
       {At(2, 17, R"("start_timeout": durations cannot be negative)")}},
      {"UnitsInTheWrongOrder",
       kCommand + R"(start_timeout = "30s1m")",
       {At(2, 17, R"("start_timeout": units go from large to small, each once: "1m30s")")}},
      {"AUnitTwice",
       kCommand + R"(start_timeout = "1s1s")",
       {At(2, 17, R"("start_timeout": units go from large to small, each once: "1m30s")")}},
      {"AFractionOfANanosecond",
       kCommand + R"(start_timeout = "1.5ns")",
       {At(2, 17, R"("start_timeout": finer than a nanosecond)")}},
      {"ADurationBeyondAllTime",
       kCommand + R"(start_timeout = "9999999h")",
       {At(2, 17, R"("start_timeout": longer than 292 years)")}},
      {"ADurationBeyondItsRange",
       kCommand + R"(start_timeout = "25h")",
       {At(2, 17, R"("start_timeout" must be between 1ms and 24h, not 25h)")}},
      {"AnUnitlessFraction",
       kCommand + R"(start_timeout = "1.s")",
       {At(2, 17, R"("start_timeout")" + kNoDuration)}},
      {"ADurationOfNothing",
       kCommand + R"(start_timeout = "0s")",
       {At(2, 17, R"("start_timeout" must be between 1ms and 24h, not 0s)")}},
      {"AHealthIntervalTooShort",
       kCommand + R"([health]
interval = "5ms")",
       {At(3, 12, R"("interval" must be between 10ms and 24h, not 5ms)")}},
      {"ABackoffThatShrinks",
       kCommand + R"([backoff]
initial = "10s"
max = "5s")",
       {At(4, 7, R"("max" (5s) must not be less than "initial" (10s))")}},
      {"ABackoffBeyondTheDefault",
       kCommand + R"([backoff]
initial = "2m")",
       {At(3, 11, R"("max" (1m) must not be less than "initial" (2m))")}},
      {"ANegativeCount",
       kCommand + R"([quarantine]
failures = -1)",
       {At(3, 12, R"("failures" must be between 0 and 1000, not -1)")}},
      {"NoHealthFailures",
       kCommand + R"([health]
failures = 0)",
       {At(3, 12, R"("failures" must be between 1 and 1000, not 0)")}},
      {"TooManyInFlight",
       kCommand + R"([call]
max_in_flight = 1000001)",
       {At(3, 17, R"("max_in_flight" must be between 1 and 1000000, not 1000001)")}},
      {"TooFewOpenFiles",
       kCommand + R"([limits]
nofile = 3)",
       {At(3, 10, R"("nofile" must be 0 (as plugind's own) or at least 16)")}},
      {"ACoreSizeInOtherUnits",
       kCommand + R"([limits]
core = "10MB")",
       {At(3, 8,
           R"("core": sizes are a number of bytes or a string with a unit: 65536, "64KiB", "1MiB")")}},
      {"ANegativeCoreSize",
       kCommand + R"([limits]
core = -1)",
       {At(3, 8, R"("core" must not be negative)")}},
      {"AnUnknownRestart",
       kCommand + R"(restart = "on_failure")",
       {At(2, 11,
           R"("restart" must be one of "always", "on-failure", "never", not "on_failure"; did you mean "on-failure"?)")}},
      {"AnUnknownNetwork",
       kCommand + R"(network = ["unix", "udp"])",
       {At(2, 20, R"("network": "udp" is no network: write "unix" or "tcp")")}},
      {"ANetworkOfTcpAlone",
       kCommand + R"(network = ["tcp"])",
       {At(2, 11, R"("network" must have "unix"; "tcp" may be added to it)")}},
      {"NoNetwork",
       kCommand + R"(network = [])",
       {At(2, 11, R"("network" must have "unix"; "tcp" may be added to it)")}},
      {"AnUpperCaseName", kCommand + R"(name = "KV")", {At(2, 8, R"("name": "KV")" + kNoName)}},
      {"AnEmptyName", kCommand + R"(name = "")", {At(2, 8, R"("name": "")" + kNoName)}},
      {"APathForAName", kCommand + R"(name = "../kv")", {At(2, 8, R"("name": "../kv")" + kNoName)}},
      {"ANameThatEndsInADot",
       kCommand + R"(name = "kv.")",
       {At(2, 8, R"("name": "kv.")" + kNoName)}},
      {"ANameOf49Bytes",
       kCommand + "name = \"" + std::string(49, 'a') + "\"",
       {At(2, 8, "\"name\": \"" + std::string(49, 'a') + "\"" + kNoName)}},
      {"ANumberForAName",
       kCommand + R"(name = 7)",
       {At(2, 8, R"("name" must be a string, not an integer)")}},
      {"NoProtocolVersions",
       kCommand + R"(protocol_versions = [])",
       {At(2, 21, R"("protocol_versions" must not be empty)")}},
      {"ProtocolVersionZero",
       kCommand + R"(protocol_versions = [0])",
       {At(2, 22, R"("protocol_versions" must be between 1 and 2147483647, not 0)")}},
      {"AProtocolVersionTwice",
       kCommand + R"(protocol_versions = [2, 3, 2])",
       {At(2, 28, R"("protocol_versions" has 2 twice)")}},
      {"AProtocolVersionTooLarge",
       kCommand + R"(protocol_versions = [2147483648])",
       {At(2, 22, R"("protocol_versions" must be between 1 and 2147483647, not 2147483648)")}},
      {"AProtocolVersionInQuotes",
       kCommand + R"(protocol_versions = ["1"])",
       {At(2, 22, R"("protocol_versions" must be an array of integers, but has a string)")}},
      {"AnEmptyCookieKey",
       kCommand + R"(magic_cookie = { key = "", value = "x" })",
       {At(2, 24, R"("key": the name of an environment variable must not be empty)")}},
      {"AnEmptyCookieValue",
       kCommand + R"(magic_cookie = { key = "A", value = "" })",
       {At(2, 37, R"("value": must not be empty)")}},
      {"HalfACookie",
       kCommand + R"(magic_cookie = { key = "A" })",
       {At(2, 1, R"("magic_cookie" needs both "key" and "value")")}},
      {"ACookieThatIsPluginds",
       kCommand + R"(magic_cookie = { key = "PLUGIN_MIN_PORT", value = "x" })",
       {At(2, 24, R"("key": plugind sets "PLUGIN_MIN_PORT" itself)")}},
      {"ACookieInPlugindsNames",
       kCommand + R"(magic_cookie = { key = "PLUGIND_NAME", value = "x" })",
       {At(2, 24, R"("key": plugind sets "PLUGIND_NAME" itself)")}},
      {"AnEnvironmentNameWithEquals",
       kCommand + R"(env = { "A=B" = "c" })",
       {At(2, 9,
           R"("env": "A=B" is no name for an environment variable: it has a space, a control character or "=")")}},
      {"AnEmptyEnvironmentName",
       kCommand + R"(env = { "" = "c" })",
       {At(2, 9, R"("env": the name of an environment variable must not be empty)")}},
      {"AnEnvironmentNameThatIsPluginds",
       kCommand + R"(env = { TMPDIR = "/tmp", PLUGIND_INSTANCE = "x" })",
       {At(2, 9, R"("env": plugind sets "TMPDIR" itself)"),
        At(2, 26, R"("env": plugind sets "PLUGIND_INSTANCE" itself)")}},
      {"TheCookieInTheEnvironment",
       kCommand + R"(env = { PLUGIND_PLUGIN = "1" })",
       {At(2, 9, R"("env": "PLUGIND_PLUGIN" is the magic cookie, which "magic_cookie" sets)")}},
      {"APrincipalOfNoKind",
       kCommand + R"([access]
callers = ["root"])",
       {At(3, 12, R"("callers": "root")" + kNoCaller)}},
      {"AUidThatIsNone",
       kCommand + R"([access]
callers = ["uid:-1", "uid:4294967295", "uid:", "uid:01"])",
       {At(3, 12, R"("callers": "uid:-1")" + kNoCaller),
        At(3, 22, R"("callers": "uid:4294967295")" + kNoCaller),
        At(3, 40, R"("callers": "uid:")" + kNoCaller),
        At(3, 48, R"("callers": "uid:01")" + kNoCaller)}},
      {"AGroupWithoutName",
       kCommand + R"([access]
callers = ["group:"])",
       {At(3, 12, R"("callers": "group:")" + kNoCaller)}},
      {"APluginPrincipalThatIsNone",
       kCommand + R"([access]
callers = ["plugin:KV"])",
       {At(3, 12, R"("callers": "plugin:KV")" + kNoCaller)}},
      {"APrincipalTwice",
       kCommand + R"([access]
callers = ["uid:1", "*", "uid:1"])",
       {At(3, 26, R"("callers" has "uid:1" twice)")}},
      {"ACallWithoutMethod",
       kCommand + R"([access]
calls = ["kv"])",
       {At(3, 10, R"("calls": "kv")" + kNoCall)}},
      {"ACallWithAStarInside",
       kCommand + R"([access]
calls = ["kv/kv.v1.*/Get"])",
       {At(3, 10, R"("calls": "kv/kv.v1.*/Get")" + kNoCall)}},
      {"AMethodWithoutSlash",
       kCommand + R"([call]
idempotent = ["greeter.v1.Greeter/Greet"])",
       {At(3, 15, R"("idempotent": "greeter.v1.Greeter/Greet")" + kNoMethod)}},
      {"AMethodWithoutService",
       kCommand + R"([call]
idempotent = ["/Greet"])",
       {At(3, 15, R"("idempotent": "/Greet")" + kNoMethod)}},
      {"AVersionOfThreeParts",
       kCommand + R"([capabilities]
offer = { emoji = "1.0.0" })",
       {At(3, 19, R"("offer": "1.0.0" is no version: write "MAJOR.MINOR", such as "1.0")")}},
      {"AVersionAsANumber",
       kCommand + R"([capabilities]
offer = { emoji = 1.0 })",
       {At(3, 19, R"("emoji" must be a string, not a float)")}},
      {"AnEmptyCapability",
       kCommand + R"([capabilities]
offer = { "" = "1.0" }
require = ["a b"])",
       {At(3, 11, R"("offer": "")" + kNoCapability),
        At(4, 12, R"("require": "a b")" + kNoCapability)}},
      {"NanInTheSettings",
       kCommand + R"([config]
ratio = nan
limits = [1.0, -inf])",
       {At(3, 9, "[config] is handed over as JSON, which has no nan and no inf"),
        At(4, 16, "[config] is handed over as JSON, which has no nan and no inf")}},
      {"EveryErrorAtOnce",
       R"(comand = ["./kv"]
enabled = 1
[health]
interval = "5"
foo = 1
[stop]
grace = -5)",
       {At(1, 1, R"(unknown key "comand"; did you mean "command"?)"),
        At(2, 11, R"("enabled" must be true or false, not an integer)"),
        At(4, 12, R"("interval")" + kNoDuration), At(5, 1, R"(unknown key "foo")"),
        At(7, 9, R"("grace" must be a duration such as "10s", not an integer)")}},
  };
}

std::vector<Malformed> DaemonFiles() {
  return {
      {"AMistypedTable",
       R"([metric]
listen = "")",
       {At(1, 2, R"(unknown key "metric"; did you mean "metrics"?)")}},
      {"AKeyOutsideItsTable",
       R"(log_level = "info")",
       {At(1, 1, R"(unknown key "log_level"; it belongs in [daemon])")}},
      {"APluginsKey",
       R"(command = ["./kv"]
)",
       {At(1, 1, R"(unknown key "command")")}},
      {"AnUnknownLogLevel",
       R"([daemon]
log_level = "warning")",
       {At(2, 13,
           R"("log_level" must be one of "trace", "debug", "info", "warn", "error", not "warning"; did you mean "warn"?)")}},
      {"AnUnknownLogFormat",
       R"([daemon]
log_format = "xml")",
       {At(2, 14, R"("log_format" must be one of "auto", "text", "json", not "xml")")}},
      {"ALogBufferTooSmall",
       R"([daemon]
log_buffer = "1KiB")",
       {At(2, 14, R"("log_buffer" must be between 16KiB and 64MiB, not 1KiB)")}},
      {"ALogBufferTooLarge",
       R"([daemon]
log_buffer = "1GiB")",
       {At(2, 14, R"("log_buffer" must be between 16KiB and 64MiB, not 1GiB)")}},
      {"ALogBufferBeyondMeasure",
       R"([daemon]
log_buffer = "99999999999GiB")",
       {At(2, 14, R"("log_buffer": larger than 8 EiB)")}},
      {"ALogBufferOfTheWrongType",
       R"([daemon]
log_buffer = true)",
       {At(2, 14, R"("log_buffer" must be a size such as "64KiB", not a boolean)")}},
      {"TooManyRestarts",
       R"([daemon]
restarts_per_second = 1001)",
       {At(2, 23, R"("restarts_per_second" must be between 0 and 1000, not 1001)")}},
      {"AnImpatientWatchdog",
       R"([daemon]
watchdog = "500ms")",
       {At(2, 12, R"("watchdog" must be between 1s and 1h, not 500ms)")}},
      {"APluginAsOperator",
       R"([control]
viewers = ["*"]
operators = ["plugin:kv"])",
       {At(3, 14,
           R"("operators": "plugin:kv" is no principal: write "uid:1000", "group:NAME" or "*")")}},
      {"NoGatewayThreads",
       R"([gateway]
threads = 0)",
       {At(2, 11, R"("threads" must be between 1 and 64, not 0)")}},
      {"SpinningTooLong",
       R"([gateway]
spin = "1s")",
       {At(2, 8, R"("spin" must be between 0s and 10ms, not 1s)")}},
      {"AListenAddressWithoutPort",
       R"([metrics]
listen = "localhost")",
       {At(2, 10, R"("listen": "localhost")" + kNoAddress)}},
      {"AListenPortTooLarge",
       R"([metrics]
listen = "127.0.0.1:65536")",
       {At(2, 10, R"("listen": "127.0.0.1:65536")" + kNoAddress)}},
      {"AListenAddressWithoutHost",
       R"([metrics]
listen = ":9464")",
       {At(2, 10, R"("listen": ":9464")" + kNoAddress)}},
      {"AnIpv6AddressWithoutBrackets",
       R"([metrics]
listen = "::1:9464")",
       {At(2, 10, R"("listen": "::1:9464")" + kNoAddress)}},
      {"AListenAddressThatOthersReach",
       R"([metrics]
listen = "0.0.0.0:9464")",
       {At(2, 10, R"("listen": "0.0.0.0:9464")" + kNotLoopback)}},
      {"AListenAddressByName",
       R"([metrics]
listen = "127.0.0.1.example.com:9464")",
       {At(2, 10, R"("listen": "127.0.0.1.example.com:9464")" + kNotLoopback)}},
      {"AListenIpv6AddressThatOthersReach",
       R"([metrics]
listen = "[::]:9464")",
       {At(2, 10, R"("listen": "[::]:9464")" + kNotLoopback)}},
      {"ASocketWithoutPath",
       R"([metrics]
listen = "unix:")",
       {At(2, 10, R"("listen": "unix:" needs a path)")}},
      {"ASocketPathTooLong",
       "[metrics]\nlisten = \"unix:/" + std::string(107, 'a') + "\"",
       {At(2, 10, R"("listen": the path of a Unix socket has at most 107 bytes, not 108)")}},
      {"ATypeForATable",
       R"(control = ["uid:1"])",
       {At(1, 11, R"("control" must be a table, not an array)")}},
  };
}

std::string NameOf(const ::testing::TestParamInfo<Malformed>& info) { return info.param.name; }

void ExpectRefused(const std::string& file, const TestFolder& folder, const Malformed& malformed) {
  folder.Write(file, malformed.text);
  const auto result = Load(folder.Path("plugind.toml"), {});
  auto expected = malformed.problems;
  for (auto& problem : expected) problem.file = folder.Path(file);
  EXPECT_FALSE(result.ok());
  EXPECT_THAT(result.problems, ::testing::ElementsAreArray(expected));
}

class MalformedPluginFileTest : public ::testing::TestWithParam<Malformed> {};

TEST_P(MalformedPluginFileTest, IsRefusedWithEveryErrorInItsPlace) {
  const TestFolder folder;
  folder.Write("plugind.toml", "");
  folder.Write("plugins.d/good.toml", kCommand);
  folder.Write("plugins.d/a.toml", kCommand);
  ExpectRefused("plugins.d/kv.toml", folder, GetParam());
}

INSTANTIATE_TEST_SUITE_P(All, MalformedPluginFileTest, ::testing::ValuesIn(PluginFiles()), NameOf);

class MalformedDaemonFileTest : public ::testing::TestWithParam<Malformed> {};

TEST_P(MalformedDaemonFileTest, IsRefusedWithEveryErrorInItsPlace) {
  const TestFolder folder;
  folder.Write("plugins.d/good.toml", kCommand);
  ExpectRefused("plugind.toml", folder, GetParam());
}

INSTANTIATE_TEST_SUITE_P(All, MalformedDaemonFileTest, ::testing::ValuesIn(DaemonFiles()), NameOf);

}  // namespace
}  // namespace plugind::config
