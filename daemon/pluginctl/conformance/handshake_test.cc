#include "daemon/pluginctl/conformance/handshake.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace plugind::pluginctl::conformance {
namespace {

using ::testing::HasSubstr;

constexpr const char* kDirectory = "/run/i/1";

Handshake Of(const std::string& line) {
  Handshake handshake;
  handshake.line = line;
  handshake.fields = SplitFields(line);
  return handshake;
}

TEST(ConformanceHandshakeTest, AGoodOneHasNothingWrong) {
  for (const char* line : {"1|1|unix|/run/i/1/p.sock|grpc", "1|1|unix|/run/i/1/p.sock|grpc|",
                           "1|1|unix|/run/i/1/p.sock|grpc||false"}) {
    const Handshake good = Of(line);
    EXPECT_TRUE(LooksLikeHandshake(line));
    EXPECT_EQ(WrongFields(good) + WrongCore(good) + WrongVersion(good, {1}) +
                  WrongNetwork(good, false) + WrongAddress(good, kDirectory) + WrongProtocol(good),
              "");
    EXPECT_EQ(Target(good), "unix:/run/i/1/p.sock");
  }
}

TEST(ConformanceHandshakeTest, EachFieldIsJudgedByItself) {
  EXPECT_THAT(WrongFields(Of("1|1|unix|/a")), HasSubstr("4 fields"));
  EXPECT_THAT(WrongFields(Of("1|1|unix|/a|grpc|MIIB")), HasSubstr("certificate"));
  EXPECT_THAT(WrongFields(Of("1|1|unix|/a|grpc||true")), HasSubstr("multiplexed"));
  Handshake cut = Of("1|1|unix|/a|grpc");
  cut.whole = false;
  EXPECT_THAT(WrongFields(cut), HasSubstr("newline"));
  EXPECT_THAT(WrongCore(Of("2|1|unix|/a|grpc")), HasSubstr("\"2\""));
  EXPECT_THAT(WrongVersion(Of("1|3|unix|/a|grpc"), {1, 2}), HasSubstr("offered 1,2"));
  EXPECT_THAT(WrongVersion(Of("1|-1|unix|/a|grpc"), {1}), HasSubstr("\"-1\""));
  EXPECT_THAT(WrongProtocol(Of("1|1|unix|/a")), HasSubstr("netrpc"));
  EXPECT_THAT(WrongProtocol(Of("1|1|unix|/a|netrpc")), HasSubstr("expected grpc"));
  EXPECT_THAT(WrongNetwork(Of("1|1|pipe|/a|grpc"), true), HasSubstr("\"pipe\""));
  EXPECT_THAT(WrongNetwork(Of("1|1|tcp|127.0.0.1:1|grpc"), false), HasSubstr("--tcp"));
  EXPECT_EQ(WrongNetwork(Of("1|1|tcp|127.0.0.1:1|grpc"), true), "");
}

TEST(ConformanceHandshakeTest, AnAddressOutsideIsSeenThroughDetours) {
  const auto wrong = [](const std::string& address) {
    return WrongAddress(Of("1|1|unix|" + address + "|grpc"), kDirectory);
  };
  EXPECT_THAT(wrong("p.sock"), HasSubstr("absolute"));
  EXPECT_THAT(wrong("/tmp/p.sock"), HasSubstr("outside"));
  EXPECT_THAT(wrong("/run/i/1/../2/p.sock"), HasSubstr("outside"));
  EXPECT_THAT(wrong("/run/i/12/p.sock"), HasSubstr("outside"));
  EXPECT_THAT(wrong("/run/i/1/" + std::string(100, 'a')), HasSubstr("109 bytes"));
  const auto tcp = [](const std::string& address) {
    return WrongAddress(Of("1|1|tcp|" + address + "|grpc"), kDirectory);
  };
  EXPECT_EQ(tcp("127.0.0.1:4000") + tcp("[::1]:4000"), "");
  EXPECT_NE(tcp("0.0.0.0:4000"), "");
  EXPECT_NE(tcp("127.0.0.1:0"), "");
  EXPECT_NE(tcp("127.0.0.1"), "");
}

TEST(ConformanceHandshakeTest, OtherLinesDoNotLookLikeOne) {
  for (const char* line : {"", "hello", "1|a|unix", "loading 1|2|", "|1|unix|/a|grpc", "1|1"})
    EXPECT_FALSE(LooksLikeHandshake(line)) << line;
  EXPECT_TRUE(LooksLikeHandshake(" 9|9|pipe|x\r"));
}

}  // namespace
}  // namespace plugind::pluginctl::conformance
