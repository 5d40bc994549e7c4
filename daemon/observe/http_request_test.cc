#include "daemon/observe/http_request.h"

#include <gtest/gtest.h>

namespace plugind::observe {
namespace {

using Result = ParsedHttp::Result;

TEST(HttpRequestTest, APathAndItsQueryAreTaken) {
  const ParsedHttp parsed =
      ParseHttpHead("GET /readyz?verbose HTTP/1.1\r\nHost: here\r\nAccept: */*\r\n\r\n");
  ASSERT_EQ(parsed.result, Result::kComplete);
  EXPECT_EQ(parsed.request.method, "GET");
  EXPECT_EQ(parsed.request.path, "/readyz");
  EXPECT_EQ(parsed.request.query, "verbose");
}

TEST(HttpRequestTest, EveryPrefixOfARequestIsIncomplete) {
  const std::string whole = "GET / HTTP/1.1\r\nhOsT:\r\nA: \xc3\xa5\tb\r\n\r\n";
  for (size_t length = 0; length < whole.size(); ++length) {
    EXPECT_EQ(ParseHttpHead(whole.substr(0, length)).result, Result::kIncomplete) << length;
  }
  EXPECT_EQ(ParseHttpHead(whole).result, Result::kComplete);
  EXPECT_EQ(ParseHttpHead(whole + "the body of it").result, Result::kComplete);
}

TEST(HttpRequestTest, VersionOneNeedsNoHost) {
  EXPECT_EQ(ParseHttpHead("GET / HTTP/1.0\r\n\r\n").result, Result::kComplete);
  EXPECT_EQ(ParseHttpHead("GET / HTTP/1.1\r\n\r\n").result, Result::kMalformed);
  EXPECT_EQ(ParseHttpHead("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n").result,
            Result::kMalformed);
}

TEST(HttpRequestTest, WhatIsNoRequestIsMalformed) {
  for (const std::string head :
       {"GET /\r\n\r\n", "GET  / HTTP/1.0\r\n\r\n", " / HTTP/1.0\r\n\r\n", "GET  HTTP/1.0\r\n\r\n",
        "G(T / HTTP/1.0\r\n\r\n", "GET http://a/ HTTP/1.0\r\n\r\n", "OPTIONS * HTTP/1.0\r\n\r\n",
        "GET /\x01 HTTP/1.0\r\n\r\n", "GET /\xc3\xa5 HTTP/1.0\r\n\r\n", "GET / FTP/1.0\r\n\r\n",
        "GET / HTTP/1.0\nA: b\r\n\r\n", "GET / HTTP/1.0\r\nno colon\r\n\r\n",
        "GET / HTTP/1.0\r\nbad name: b\r\n\r\n", "GET / HTTP/1.0\r\nA: b\r\n folded\r\n\r\n",
        "GET / HTTP/1.0\r\nA: b\nEvil: c\r\n\r\n", "GET / HTTP/1.0\r\n: b\r\n\r\n", "\r\n\r\n"}) {
    EXPECT_EQ(ParseHttpHead(head).result, Result::kMalformed) << head;
  }
  // Another protocol is told at its first byte.
  EXPECT_EQ(ParseHttpHead("\x16\x03\x01").result, Result::kMalformed);
}

TEST(HttpRequestTest, AnotherVersionIsNoMistake) {
  EXPECT_EQ(ParseHttpHead("GET / HTTP/2.0\r\n\r\n").result, Result::kOtherVersion);
}

TEST(HttpRequestTest, AHeadHasEightKibibytesAtMost) {
  std::string head = "GET / HTTP/1.0\r\nA: ";
  const std::string end = "\r\n\r\n";
  head.append(kMaxHttpHead - head.size() - end.size(), 'a');
  EXPECT_EQ(ParseHttpHead(head + end).result, Result::kComplete);
  EXPECT_EQ(ParseHttpHead(head + "a" + end).result, Result::kTooLarge);
  EXPECT_EQ(ParseHttpHead(std::string(kMaxHttpHead, 'a')).result, Result::kTooLarge);
}

}  // namespace
}  // namespace plugind::observe
