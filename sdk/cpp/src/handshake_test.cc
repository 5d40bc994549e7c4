#include "sdk/cpp/src/handshake.h"

#include <gtest/gtest.h>

#include "sdk/cpp/src/failure.h"

namespace plugind::sdk {
namespace {

TEST(NegotiateTest, TakesTheHighestVersionThatBothSpeak) {
  EXPECT_EQ(Negotiate("5,6", {4, 5, 6, 7}), 6);
  EXPECT_EQ(Negotiate("6,5", {5}), 5);
  EXPECT_EQ(Negotiate("1", {1}), 1);
}

TEST(NegotiateTest, AnswersWithItsLowestWhenNothingMatches) {
  EXPECT_EQ(Negotiate("9", {3, 2}), 2);
  EXPECT_EQ(Negotiate("", {3, 2}), 2);
}

TEST(NegotiateTest, PassesOverWhatIsNotANumber) {
  EXPECT_EQ(Negotiate("x,,2y,3,", {2, 3}), 3);
  EXPECT_EQ(Negotiate("99999999999999999999,2", {1, 2}), 2);
}

TEST(NothingInCommonTest, HasTheListsOfBothSides) {
  EXPECT_EQ(NothingInCommon("greeter", "9,8,x,9", {2, 1}),
            "greeter serves protocol versions 1, 2; its host offers 8, 9");
  EXPECT_EQ(NothingInCommon("greeter", "1,8", {1, 2}), "");
  EXPECT_EQ(NothingInCommon("greeter", "", {1}), "");
  EXPECT_EQ(NothingInCommon("greeter", "x", {1}), "");
}

TEST(SocketDirectoryTest, PrefersTheHostsDirectoryThenTmpdirThenTmp) {
  EXPECT_EQ(SocketDirectory({.socket_dir = "/run/a", .temp_dir = "/run/b"}), "/run/a");
  EXPECT_EQ(SocketDirectory({.temp_dir = "/run/b"}), "/run/b");
  EXPECT_EQ(SocketDirectory({}), "/tmp");
}

TEST(SocketDirectoryTest, MakesARelativeDirectoryAbsolute) {
  EXPECT_EQ(SocketDirectory({.socket_dir = "sockets"}).front(), '/');
}

TEST(CheckSupportedTest, NamesWhatTheHostAsksForInVain) {
  EXPECT_NO_THROW(CheckSupported({}));
  EXPECT_NO_THROW(CheckSupported({.multiplex = "false"}));
  EXPECT_THROW(CheckSupported({.multiplex = "true"}), Failure);
}

TEST(HandshakeLineTest, IsGoPlugins) {
  EXPECT_EQ(HandshakeLine(2, "/run/i/7f3a/p.sock", ""), "1|2|unix|/run/i/7f3a/p.sock|grpc\n");
  EXPECT_EQ(HandshakeLine(2, "/p.sock", "MIIB"), "1|2|unix|/p.sock|grpc|MIIB\n");
}

}  // namespace
}  // namespace plugind::sdk
