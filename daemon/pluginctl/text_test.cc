#include "daemon/pluginctl/text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace plugind::pluginctl {
namespace {

using std::chrono::hours;
using std::chrono::seconds;
using ::testing::ElementsAre;

TEST(TextTest, PrintableLeavesTextAlone) {
  EXPECT_EQ(Printable("plain, grün, 日本語, 🙂"), "plain, grün, 日本語, 🙂");
}

TEST(TextTest, PrintableShowsWhatWouldDriveATerminal) {
  EXPECT_EQ(Printable("\x1b[31m\x07\x7f\n\t|"), "\\x1b[31m\\x07\\x7f\\x0a |");
  EXPECT_EQ(Printable("\xC2\x9B"), "\\x9b");          // CSI as one character of C1
  EXPECT_EQ(Printable("\xE2\x80\xAE"), "\\u{202e}");  // right-to-left override
}

TEST(TextTest, PrintableShowsInvalidUtf8ByteByByte) {
  EXPECT_EQ(Printable("a\xff\xc3"), "a\\xff\\xc3");
  EXPECT_EQ(Printable("\xC0\xAF"), "\\xc0\\xaf");                    // overlong
  EXPECT_EQ(Printable("\xED\xA0\x80"), "\\xed\\xa0\\x80");           // surrogate
  EXPECT_EQ(Printable("\xF4\x90\x80\x80"), "\\xf4\\x90\\x80\\x80");  // beyond Unicode
}

TEST(TextTest, WidthCountsColumns) {
  EXPECT_EQ(Width("grün"), 4u);
  EXPECT_EQ(Width("日本"), 4u);
  EXPECT_EQ(Width("e\xCC\x81"), 1u);  // combining acute
}

TEST(TextTest, TruncateKeepsCharactersWhole) {
  EXPECT_EQ(Truncate("grün", 4), "grün");
  EXPECT_EQ(Truncate("grüner", 4), "grü…");
  EXPECT_EQ(Truncate("日本語", 4), "日…");
  EXPECT_EQ(Truncate("abc", 0), "");
}

TEST(TextTest, LastLinesAreTheLastOnes) {
  EXPECT_THAT(LastLines("a\nb\r\n\nc\n\n", 3), ElementsAre("b", "", "c"));
  EXPECT_THAT(LastLines("only", 3), ElementsAre("only"));
  EXPECT_THAT(LastLines("\nx", 3), ElementsAre("", "x"));
  EXPECT_THAT(LastLines("", 3), ElementsAre());
}

TEST(TextTest, AgesHaveTwoUnitsAtMost) {
  EXPECT_EQ(FormatAge(seconds(-3)), "0s");
  EXPECT_EQ(FormatAge(seconds(59)), "59s");
  EXPECT_EQ(FormatAge(seconds(125)), "2m05s");
  EXPECT_EQ(FormatAge(seconds(7500)), "2h05m");
  EXPECT_EQ(FormatAge(hours(99)), "4d03h");
}

}  // namespace
}  // namespace plugind::pluginctl
