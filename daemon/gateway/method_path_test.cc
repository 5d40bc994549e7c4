#include "daemon/gateway/method_path.h"

#include <gtest/gtest.h>

#include <string>

namespace plugind::gateway {
namespace {

TEST(MethodPathTest, TheCanonicalFormIsTakenApart) {
  const auto path = ParseMethodPath("/greeter.v1.Greeter/Greet");
  ASSERT_TRUE(path);
  EXPECT_EQ(path->service, "greeter.v1.Greeter");
  EXPECT_EQ(path->method, "Greet");
  EXPECT_TRUE(ParseMethodPath("/a/b"));
  EXPECT_TRUE(ParseMethodPath("/A_1.b-2/C_3-d"));
}

TEST(MethodPathTest, AnythingThatTwoReadersCouldReadInTwoWaysIsRefused) {
  for (const char* path : {"",         "/",           "//",
                           "///",      "a/b",         "/a",
                           "/a/",      "//b",         "/a//b",
                           "//a/b",    "/a/b/",       "/a/b/c",
                           "/./b",     "/../b",       "/a/.",
                           "/a/..",    "/a/../b/c",   "/.a/b",
                           "/a./b",    "/a..b/c",     "/a/b.c",
                           "/a/%62",   "/%2e%2e/b",   "/a%2Fb",
                           "/a/b?x=y", "/a/b#c",      "/a/b;c",
                           "/a/b ",    " /a/b",       "/a /b",
                           "/a/b\t",   "/a\\b/c",     "http://localhost/a/b",
                           "*",        "/a/\xc3\xa4", "/a/b\n"}) {
    EXPECT_FALSE(ParseMethodPath(path)) << path;
  }
  EXPECT_FALSE(ParseMethodPath(std::string_view("/a/b\0", 5)));
  EXPECT_FALSE(ParseMethodPath(std::string_view("/a\0/b", 5)));
}

TEST(MethodPathTest, LengthIsBounded) {
  const std::string most = "/a/" + std::string(509, 'b');
  EXPECT_TRUE(ParseMethodPath(most));
  EXPECT_FALSE(ParseMethodPath(most + "b"));
}

}  // namespace
}  // namespace plugind::gateway
