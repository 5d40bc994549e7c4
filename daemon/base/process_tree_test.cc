#include "daemon/base/process_tree.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>
#include <set>

#include "daemon/base/unique_fd.h"

namespace plugind {
namespace {

// Processes that tell their pid and then wait to be killed.
class ProcessTreeTest : public testing::Test {
 protected:
  ProcessTreeTest() {
    // Orphans are this process's, as the keeper's are.
    EXPECT_EQ(::prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
    int fds[2];
    EXPECT_EQ(::pipe2(fds, O_CLOEXEC), 0);
    read_.reset(fds[0]);
    write_.reset(fds[1]);
  }
  ~ProcessTreeTest() override {
    for (const int pid : told_) ::kill(pid, SIGKILL);
    while (::wait(nullptr) > 0) {
    }
    ::prctl(PR_SET_CHILD_SUBREAPER, 0);
  }
  static int Fork(const std::function<void()>& child) {
    const int pid = ::fork();
    if (pid == 0) {
      child();
      ::_exit(0);
    }
    return pid;
  }
  void Tell() const {
    const int pid = ::getpid();
    if (::write(write_.get(), &pid, sizeof pid) != sizeof pid) ::_exit(1);
  }
  [[noreturn]] static void Wait() {
    while (true) ::pause();
  }
  [[noreturn]] void TellAndWait() const {
    Tell();
    Wait();
  }
  int Told() {
    int pid = 0;
    EXPECT_EQ(::read(read_.get(), &pid, sizeof pid), static_cast<ssize_t>(sizeof pid));
    told_.insert(pid);
    return pid;
  }
  static std::optional<int> Find(int pid, int wanted) {
    return FindAmongKin(pid, [wanted](int one) { return one == wanted; });
  }

  UniqueFd read_, write_;
  std::set<int> told_;
};

TEST_F(ProcessTreeTest, ADescendantIsFoundByItsAncestorsAndByItsSession) {
  Fork([this] {
    ::setsid();
    Fork([this] { TellAndWait(); });
    TellAndWait();
  });
  const int one = Told();
  const int other = Told();
  const int child = ::getsid(one) == one ? other : one;
  const int parent = child == one ? other : one;
  EXPECT_EQ(Find(child, parent), parent);
  EXPECT_EQ(Find(child, ::getpid()), ::getpid());
  EXPECT_EQ(Find(child, child), child);
  EXPECT_EQ(Find(parent, child), 0);
  EXPECT_TRUE(IsPartOf(child, parent));
  EXPECT_FALSE(IsPartOf(parent, child));
  // Its parent's end leaves it the session, even while that one is nobody's process any more.
  ::kill(parent, SIGKILL);
  ::waitpid(parent, nullptr, 0);
  told_.erase(parent);
  EXPECT_EQ(Find(child, parent), parent);
}

TEST_F(ProcessTreeTest, OneThatHasLeftSessionAndParentsIsItsReapersChild) {
  const int main = Fork([this] {
    ::setsid();
    Fork([this] {
      ::setsid();
      Fork([this] { TellAndWait(); });
    });
    while (::wait(nullptr) > 0) {
    }
  });
  const int orphan = Told();
  ::waitpid(main, nullptr, 0);
  EXPECT_EQ(Find(orphan, main), 0);
  EXPECT_EQ(Find(orphan, ::getpid()), ::getpid());
}

TEST_F(ProcessTreeTest, OfAProcessThatIsGoneNothingCanBeTold) {
  const int gone = Fork([] {});
  ::waitpid(gone, nullptr, 0);
  EXPECT_EQ(Find(gone, ::getpid()), std::nullopt);
}

TEST_F(ProcessTreeTest, OfAProcessThatIsTooDeepNothingCanBeTold) {
  constexpr int kGenerations = 70;
  const std::function<void(int)> descend = [&](int left) {
    ::setsid();
    Tell();
    if (left > 1) Fork([&] { descend(left - 1); });
    Wait();
  };
  Fork([&] { descend(kGenerations); });
  const int top = Told();
  int bottom = 0;
  for (int i = 1; i < kGenerations; ++i) bottom = Told();
  EXPECT_EQ(Find(bottom, ::getpid()), std::nullopt);
  EXPECT_EQ(Find(top, ::getpid()), ::getpid());
}

TEST_F(ProcessTreeTest, WithoutAnFdNothingCanBeTold) {
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  const rlimit none = {0, before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
  const auto kin = Find(::getpid(), 1 << 30);
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
  EXPECT_EQ(kin, std::nullopt);
}

TEST_F(ProcessTreeTest, ANameThatLooksLikeTheFieldsBehindItChangesNothing) {
  const int child = Fork([this] {
    ::prctl(PR_SET_NAME, "x) S 1 1 1\n1 ");
    TellAndWait();
  });
  ASSERT_EQ(Told(), child);
  EXPECT_EQ(Find(child, ::getpid()), ::getpid());
}

TEST_F(ProcessTreeTest, NoProcessHasNoKin) {
  EXPECT_EQ(Find(0, 0), 0);  // whom another PID namespace hides
  EXPECT_EQ(Find(1, 2), 0);
  EXPECT_EQ(Find(1, 1), 1);
}

}  // namespace
}  // namespace plugind
