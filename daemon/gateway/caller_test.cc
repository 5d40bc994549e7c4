#include "daemon/gateway/caller.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <grp.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/base/unique_fd.h"

namespace plugind::gateway {
namespace {

// A pair whose ends were made by this process as it is now.
std::optional<Caller> IdentifyThisProcess() {
  int pair[2];
  EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
  const UniqueFd mine(pair[0]);
  const UniqueFd other(pair[1]);
  return Identify(mine.get());
}

TEST(CallerTest, TheKernelTellsUidPidAndGroups) {
  const auto caller = IdentifyThisProcess();
  ASSERT_TRUE(caller);
  EXPECT_EQ(caller->kind, Caller::Kind::kUser);
  EXPECT_EQ(caller->uid, ::getuid());
  EXPECT_EQ(caller->pid, ::getpid());
  EXPECT_EQ(caller->name, "uid:" + std::to_string(::getuid()));
  EXPECT_THAT(caller->groups, testing::Contains(::getgid()));
}

TEST(CallerTest, ManySupplementaryGroupsAreAllSeen) {
  if (::geteuid() != 0) GTEST_SKIP() << "to have other groups this test needs root";
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    std::vector<gid_t> groups;
    for (gid_t gid = 70000; gid < 70300; ++gid) groups.push_back(gid);
    if (::setgroups(groups.size(), groups.data()) != 0 || ::setgid(69999) != 0) ::_exit(2);
    const auto caller = IdentifyThisProcess();
    if (!caller || caller->groups.size() != 301) ::_exit(3);
    CallerSet last, own, none;
    last.AddGroup(70299);
    own.AddGroup(69999);
    none.AddGroup(70300);
    ::_exit(last.Contains(*caller) && own.Contains(*caller) && !none.Contains(*caller) ? 0 : 4);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}

TEST(CallerTest, WhatHasNoPeerIsNobody) {
  int pipe[2];
  ASSERT_EQ(::pipe2(pipe, O_CLOEXEC), 0);
  const UniqueFd read(pipe[0]);
  const UniqueFd write(pipe[1]);
  EXPECT_FALSE(Identify(read.get()));
  EXPECT_FALSE(Identify(-1));
}

TEST(CallerSetTest, AnEmptySetHasNobody) {
  EXPECT_FALSE(CallerSet().Contains(Caller::User(0, 1, {0})));
  EXPECT_FALSE(CallerSet().Contains(Caller::Plugin("kv", 0, 1)));
}

TEST(CallerSetTest, UsersAreInByUidOrByAnyOfTheirGroups) {
  CallerSet set;
  set.AddUid(1000);
  set.AddGroup(50);
  EXPECT_TRUE(set.Contains(Caller::User(1000, 1, {1000})));
  EXPECT_TRUE(set.Contains(Caller::User(1001, 1, {1001, 50})));
  EXPECT_FALSE(set.Contains(Caller::User(50, 1, {1000})));
  EXPECT_FALSE(set.Contains(Caller::User(1001, 1, {1001})));
}

TEST(CallerSetTest, APluginHasNoneOfItsUsersRights) {
  CallerSet set;
  set.AddUid(1000);
  set.AddPlugin("frontend");
  EXPECT_FALSE(set.Contains(Caller::Plugin("kv", 1000, 1)));
  EXPECT_TRUE(set.Contains(Caller::Plugin("frontend", 1000, 1)));
  EXPECT_FALSE(set.Contains(Caller::Plugin("Frontend", 1000, 1)));
  EXPECT_FALSE(set.Contains(Caller::Plugin("frontend2", 1000, 1)));
}

TEST(CallerSetTest, EveryoneIncludesPlugins) {
  CallerSet set;
  set.AddEveryone();
  EXPECT_TRUE(set.Contains(Caller::User(65534, 1, {65534})));
  EXPECT_TRUE(set.Contains(Caller::Plugin("kv", 0, 1)));
}

}  // namespace
}  // namespace plugind::gateway
