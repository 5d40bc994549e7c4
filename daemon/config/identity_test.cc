#include "daemon/config/identity.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

namespace plugind::config {
namespace {

using ::testing::Contains;

constexpr uid_t kRoot = 0;

// "daemon" and "nobody" are in every Debian, and in most others.
TEST(IdentityTest, FindsAUserWithItsGroups) {
  const auto found = LookUpIdentity("daemon", "", kRoot);
  EXPECT_EQ(found.user_error, "");
  EXPECT_EQ(found.identity.uid, 1u);
  EXPECT_EQ(found.identity.gid, 1u);
  EXPECT_THAT(found.identity.groups, Contains(1u));
}

TEST(IdentityTest, PutsTheGivenGroupInPlaceOfTheUsersOwn) {
  const auto found = LookUpIdentity("daemon", "tty", kRoot);
  EXPECT_EQ(found.identity.uid, 1u);
  EXPECT_EQ(found.identity.gid, 5u);
  EXPECT_THAT(found.identity.groups, Contains(5u));
}

TEST(IdentityTest, KeepsNoGroupBesideOneGivenAlone) {
  const auto found = LookUpIdentity("", "daemon", kRoot);
  EXPECT_EQ(found.identity, (Identity{0, 1, {1}}));
}

TEST(IdentityTest, TakesNumbersForIds) {
  const auto found = LookUpIdentity("4000123", "4000456", kRoot);
  EXPECT_EQ(found.user_error + found.group_error, "");
  EXPECT_EQ(found.identity, (Identity{4000123, 4000456, {4000456}}));
  EXPECT_EQ(LookUpIdentity("1", "", kRoot).identity.gid, 1u);
}

TEST(IdentityTest, NeedsAGroupForANumberWithoutEntry) {
  EXPECT_EQ(LookUpIdentity("4000123", "", kRoot).user_error,
            "user 4000123 has no entry, so \"group\" must be set");
}

TEST(IdentityTest, SaysWhichOfTheTwoIsUnknown) {
  const auto found = LookUpIdentity("no-such-user", "no-such-group", kRoot);
  EXPECT_EQ(found.user_error, "there is no user \"no-such-user\"");
  EXPECT_EQ(found.group_error, "there is no group \"no-such-group\"");
}

TEST(IdentityTest, TakesTheKernelsMinusOneForNobody) {
  EXPECT_EQ(LookUpIdentity("4294967295", "daemon", kRoot).user_error,
            "there is no user \"4294967295\"");
}

TEST(IdentityTest, IsForRootOnly) {
  const auto found = LookUpIdentity("daemon", "", 1000);
  EXPECT_EQ(found.user_error, "plugind must run as root for this");
  EXPECT_EQ(found.group_error, "");
}

}  // namespace
}  // namespace plugind::config
