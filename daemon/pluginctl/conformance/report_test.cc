#include "daemon/pluginctl/conformance/report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace plugind::pluginctl::conformance {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr Rule kFirst = {"first", Level::kFloor, Needs::kNothing, "It is <good> & kind.", nullptr};
constexpr Rule kSecond = {"second", Level::kContract, Needs::kReady, "It is quick.", nullptr};
constexpr Rule kThird = {"third", Level::kAdvice, Needs::kReady, "It is small.", nullptr};

// What a plugin could put into a report to break it.
const std::string kHostile = "\"quoted\" <b>&amp;\n]]> # SKIP \\ \x1b[31m\xff\x01";

Report Hostile() {
  Report report{.plugin = "/a/\"plug\"<in>",
                .contract = true,
                .results = {},
                .took = std::chrono::seconds(2)};
  report.results = {{.rule = &kFirst,
                     .finding = Failed(kHostile),
                     .took = std::chrono::milliseconds(1005),
                     .stderr_tail = "one\n" + kHostile + "\nlast\n"},
                    {.rule = &kSecond, .finding = Skipped("not # there")},
                    {.rule = &kThird, .finding = Passed("a note\nok 9 - forged")}};
  return report;
}

TEST(ReportTest, TapHasALineForEachRuleAndNothingForged) {
  const std::string tap = ToTap(Hostile());
  EXPECT_THAT(tap, ::testing::StartsWith("TAP version 13\n1..3\nnot ok 1 - first\n  ---\n"));
  EXPECT_THAT(tap, HasSubstr("  see: \"sdk/rules.md#first\"\n"));
  EXPECT_THAT(tap, HasSubstr("    - \"last\"\n  ...\n"));
  EXPECT_THAT(tap, HasSubstr("ok 2 - second # SKIP not \\# there\n"));
  EXPECT_THAT(tap, HasSubstr("ok 3 - third\n# third: a note\\x0aok 9 - forged\n"));
  EXPECT_THAT(tap, Not(HasSubstr("\x1b")));
  EXPECT_THAT(tap, Not(HasSubstr("\nok 9")));
}

TEST(ReportTest, TapsDetailsAreStringsThatYamlAndJsonShare) {
  const std::string tap = ToTap(Hostile());
  const size_t begin = tap.find("  seen: ") + 8;
  const std::string seen = tap.substr(begin, tap.find('\n', begin) - begin);
  EXPECT_THAT(nlohmann::json::parse(seen).get<std::string>(),
              ::testing::StartsWith("\"quoted\" <b>&amp;"));
}

TEST(ReportTest, JunitEscapesWhatXmlReserves) {
  const std::string xml = ToJunit(Hostile());
  EXPECT_THAT(xml, HasSubstr("<testsuite name=\"/a/&quot;plug&quot;&lt;in&gt;\" tests=\"3\" "
                             "failures=\"1\" errors=\"0\" skipped=\"1\" time=\"2.000\">"));
  EXPECT_THAT(xml,
              HasSubstr("<testcase classname=\"plugind.floor\" name=\"first\" time=\"1.005\">"));
  EXPECT_THAT(xml, HasSubstr("<failure message=\"&quot;quoted&quot; &lt;b&gt;&amp;amp;"));
  EXPECT_THAT(xml, HasSubstr("]]&gt;"));
  EXPECT_THAT(xml, HasSubstr(">It is &lt;good&gt; &amp; kind. See sdk/rules.md#first</failure>"));
  EXPECT_THAT(xml, HasSubstr("<skipped message=\"not # there\"/>"));
  for (const char c : xml) EXPECT_TRUE(c == '\n' || static_cast<unsigned char>(c) >= ' ');
}

TEST(ReportTest, JsonIsOneDocumentWithEveryRule) {
  const auto document = nlohmann::json::parse(ToJson(Hostile()));
  EXPECT_EQ(document["failed"], 1);
  EXPECT_EQ(document["skipped"], 1);
  EXPECT_EQ(document["passed"], 1);
  ASSERT_EQ(document["rules"].size(), 3U);
  EXPECT_EQ(document["rules"][0]["verdict"], "failed");
  EXPECT_EQ(document["rules"][0]["see"], "sdk/rules.md#first");
  EXPECT_EQ(document["rules"][1]["level"], "contract");
}

TEST(ReportTest, TextTellsAFailureInFull) {
  const std::string text = ToText(Hostile(), Terminal());
  EXPECT_THAT(text, HasSubstr("FAIL  first\n        seen  \"quoted\""));
  EXPECT_THAT(text, HasSubstr("        stderr| last\n"));
  EXPECT_THAT(text,
              HasSubstr("the contract and the floor: 1 passed, 1 failed, 1 skipped, in 2.000 s"));
  EXPECT_THAT(text, Not(HasSubstr("\x1b")));
}

}  // namespace
}  // namespace plugind::pluginctl::conformance
