#include "daemon/observe/text.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <random>

namespace plugind::observe {
namespace {

bool IsCleanLine(std::string_view text) {
  while (!text.empty()) {
    const CodePoint c = DecodeUtf8(text);
    if (!c.valid || (IsControl(c.value) && c.value != '\t')) return false;
    text.remove_prefix(c.size);
  }
  return true;
}

std::string RandomBytes(std::mt19937& random, size_t size) {
  // Half of them around the edges of UTF-8 and the controls, where the mistakes are.
  constexpr std::string_view kEdges =
      "\xE2\x80\xA8\xE2\x80\xAE\xC2\x85\x7F\x1B[2J\r\n\xF0\x9F\x98\x80\xED\xA0\x80\xF4\x90\xC0\xAF";
  std::string bytes;
  while (bytes.size() < size) {
    bytes.push_back(random() % 2 ? kEdges[random() % kEdges.size()] : static_cast<char>(random()));
  }
  return bytes;
}

TEST(TextTest, TextStaysAsItIs) {
  EXPECT_EQ(Sanitized("plain\tGrüße 漢字 😀 \\x1b"), "plain\tGrüße 漢字 😀 \\x1b");
}

TEST(TextTest, ControlsBecomeVisible) {
  EXPECT_EQ(Sanitized("a\x1b[31mb\x7f"), "a\\x1b[31mb\\x7f");
  EXPECT_EQ(Sanitized("a\nb\rc"), "a\\nb\\rc");
  EXPECT_EQ(Sanitized(std::string_view("\0", 1)), "\\x00");
  EXPECT_EQ(Sanitized("\xC2\x85|\xC2\x9B"), "\\u0085|\\u009b");
  EXPECT_EQ(Sanitized("a\u2028b\u2029c"), "a\\u2028b\\u2029c");
  EXPECT_EQ(Sanitized("\u202Egnp.exe\u2069\u200F\u061C"), "\\u202egnp.exe\\u2069\\u200f\\u061c");
}

TEST(TextTest, InvalidUtf8IsReplaced) {
  EXPECT_EQ(Sanitized("a\xFFz"), "a\uFFFDz");
  EXPECT_EQ(Sanitized("\xC0\xAF"), "\uFFFD\uFFFD");            // overlong
  EXPECT_EQ(Sanitized("\xED\xA0\x80"), "\uFFFD\uFFFD\uFFFD");  // a surrogate
  EXPECT_EQ(Sanitized("\xF4\x90\x80\x80"), "\uFFFD\uFFFD\uFFFD\uFFFD");
  EXPECT_EQ(Sanitized("\xE2\x82"), "\uFFFD");  // cut off
  EXPECT_EQ(Sanitized("\xE2\x82z"), "\uFFFDz");
}

TEST(TextTest, AnyBytesBecomeACleanLineOfBoundedLength) {
  std::mt19937 random(1);
  for (int i = 0; i < 8000; ++i) {
    const std::string bytes = RandomBytes(random, random() % 40);
    const std::string clean = Sanitized(bytes);
    ASSERT_TRUE(IsCleanLine(clean)) << clean;
    ASSERT_LE(clean.size(), 4 * bytes.size());
    ASSERT_EQ(Sanitized(clean), clean);
  }
}

TEST(TextTest, AnyBytesBecomeAJsonStringThatMeansThem) {
  std::mt19937 random(2);
  for (int i = 0; i < 8000; ++i) {
    const std::string bytes = RandomBytes(random, random() % 40) + "\"\\";
    std::string json;
    AppendJsonString(json, bytes);
    ASSERT_TRUE(IsCleanLine(json));
    ASSERT_EQ(json.find('\t'), std::string::npos);
    ASSERT_EQ(nlohmann::json::parse(json).get<std::string>(), ValidUtf8(bytes));
  }
}

TEST(TextTest, APrefixEndsBetweenCodePoints) {
  EXPECT_EQ(Utf8Prefix("abc", 3), 3U);
  EXPECT_EQ(Utf8Prefix("abcd", 3), 3U);
  EXPECT_EQ(Utf8Prefix("ab\u20AC", 3), 2U);
  EXPECT_EQ(Utf8Prefix("ab\u20AC", 4), 2U);
  EXPECT_EQ(Utf8Prefix("ab\u20AC", 5), 5U);
  EXPECT_EQ(Utf8Prefix("\x80\x80\x80\x80\x80\x80", 5), 5U);
}

}  // namespace
}  // namespace plugind::observe
