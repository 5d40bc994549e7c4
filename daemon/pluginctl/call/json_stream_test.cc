#include "daemon/pluginctl/call/json_stream.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

namespace plugind::pluginctl {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::vector<std::string> Drain(JsonStream& stream) {
  std::vector<std::string> found;
  while (const auto document = stream.Next()) found.push_back(document->text);
  return found;
}

std::vector<std::string> Split(const std::string& text) {
  JsonStream stream;
  stream.Feed(text);
  stream.End();
  EXPECT_EQ(stream.error(), "") << text;
  return Drain(stream);
}

constexpr const char* kMixed =
    " {\"a\": [1, {\"b\": \"}]{[\\\"\\\\\"}]}{}\n\"x\\\"y\"\"\"[1,[2]]\t-1.5e+3 true null\n"
    "{\"ü\": \"\\u00fc\xf0\x9f\x8e\x89\"}7";

TEST(JsonStreamTest, DocumentsNeedNothingBetweenThem) {
  EXPECT_THAT(Split(kMixed), ElementsAre("{\"a\": [1, {\"b\": \"}]{[\\\"\\\\\"}]}", "{}",
                                         "\"x\\\"y\"", "\"\"", "[1,[2]]", "-1.5e+3", "true", "null",
                                         "{\"ü\": \"\\u00fc\xf0\x9f\x8e\x89\"}", "7"));
  EXPECT_THAT(Split(""), IsEmpty());
  EXPECT_THAT(Split(" \r\n\t"), IsEmpty());
}

TEST(JsonStreamTest, WhereTheBytesAreCutMakesNoDifference) {
  const std::string text = kMixed;
  const std::vector<std::string> whole = Split(text);
  for (size_t first = 0; first <= text.size(); ++first) {
    for (size_t second = first; second <= text.size(); ++second) {
      JsonStream stream;
      stream.Feed(text.substr(0, first));
      stream.Feed(text.substr(first, second - first));
      stream.Feed(text.substr(second));
      stream.End();
      ASSERT_EQ(Drain(stream), whole) << first << ", " << second;
    }
  }
}

TEST(JsonStreamTest, ADocumentIsThereWithItsLastByte) {
  JsonStream stream;
  stream.Feed("{\"a\":1");
  EXPECT_THAT(Drain(stream), IsEmpty());
  stream.Feed("}");
  EXPECT_THAT(Drain(stream), ElementsAre("{\"a\":1}"));
  stream.Feed("\"x\"");
  EXPECT_THAT(Drain(stream), ElementsAre("\"x\""));
  stream.Feed("12");
  EXPECT_THAT(Drain(stream), IsEmpty());  // it may go on
  stream.Feed("\n");
  EXPECT_THAT(Drain(stream), ElementsAre("12"));
}

TEST(JsonStreamTest, EachKnowsTheLineOnWhichItBegins) {
  JsonStream stream;
  stream.Feed("\n{\n}\n\n1\n2");
  stream.End();
  EXPECT_EQ(stream.Next()->line, 2u);
  EXPECT_EQ(stream.Next()->line, 5u);
  EXPECT_EQ(stream.Next()->line, 6u);
}

TEST(JsonStreamTest, WhatIsWholeBeforeAnErrorIsHandedOn) {
  JsonStream stream;
  stream.Feed("{}\n, {}");
  stream.End();
  EXPECT_THAT(Drain(stream), ElementsAre("{}"));
  EXPECT_EQ(stream.error(), "line 2: no JSON document begins with ','");
}

TEST(JsonStreamTest, ADocumentWithoutAnEndIsAnError) {
  for (const std::string text : {"{", "[1", "\"a", "{\"a\": \"}", "\"\\"}) {
    JsonStream stream;
    stream.Feed("1\n" + text);
    stream.End();
    EXPECT_THAT(Drain(stream), ElementsAre("1"));
    EXPECT_THAT(stream.error(), HasSubstr("line 2: ")) << text;
  }
}

}  // namespace
}  // namespace plugind::pluginctl
