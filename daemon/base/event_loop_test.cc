#include "daemon/base/event_loop.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <array>
#include <thread>
#include <vector>

namespace plugind {
namespace {

struct Pipe {
  Pipe() {
    std::array<int, 2> ends{};
    EXPECT_EQ(::pipe2(ends.data(), O_CLOEXEC | O_NONBLOCK), 0);
    read = UniqueFd(ends[0]);
    write = UniqueFd(ends[1]);
  }
  UniqueFd read, write;
};

TEST(EventLoopTest, DispatchesReadyFdsUntilTheyAreUnwatched) {
  const SystemClock clock;
  EventLoop loop(clock);
  Pipe pipe;
  ASSERT_EQ(::write(pipe.write.get(), "x", 1), 1);
  int calls = 0;
  loop.Watch(pipe.read.get(), EPOLLIN, [&](uint32_t) {
    if (++calls == 2) {
      loop.Unwatch(pipe.read.get());
      loop.Stop();
    }
  });
  loop.Run();
  EXPECT_EQ(calls, 2);
}

TEST(EventLoopTest, AnEventFetchedForAClosedFdDoesNotReachTheNextOwnerOfItsNumber) {
  const SystemClock clock;
  EventLoop loop(clock);
  Pipe first, second;
  ASSERT_EQ(::write(first.write.get(), "x", 1), 1);
  ASSERT_EQ(::write(second.write.get(), "x", 1), 1);
  Pipe third;
  int reused = 0;
  // Whichever of the two runs first replaces the other's fd by an empty pipe under the same number.
  const auto replace = [&](Pipe& other) {
    loop.Unwatch(other.read.get());
    ASSERT_EQ(::dup3(third.read.get(), other.read.get(), O_CLOEXEC), other.read.get());
    loop.Watch(other.read.get(), EPOLLIN, [&](uint32_t) { ++reused; });
  };
  bool done = false;
  loop.Watch(first.read.get(), EPOLLIN, [&](uint32_t) {
    if (!done) replace(second);
    done = true;
    loop.Unwatch(first.read.get());
  });
  loop.Watch(second.read.get(), EPOLLIN, [&](uint32_t) {
    if (!done) replace(first);
    done = true;
    loop.Unwatch(second.read.get());
  });
  loop.RunOnce(std::chrono::milliseconds(100));
  EXPECT_TRUE(done);
  EXPECT_EQ(reused, 0);
}

TEST(EventLoopTest, RunsPostedWorkInOrderFromManyThreads) {
  const SystemClock clock;
  EventLoop loop(clock);
  constexpr int kThreads = 4;
  constexpr int kEach = 1000;
  std::array<int, kThreads> last{};
  last.fill(-1);
  int total = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < kEach; ++i) {
        loop.Post([&, t, i] {
          EXPECT_EQ(last[static_cast<size_t>(t)], i - 1);
          last[static_cast<size_t>(t)] = i;
          if (++total == kThreads * kEach) loop.Stop();
        });
      }
    });
  }
  loop.Run();
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(total, kThreads * kEach);
}

TEST(EventLoopTest, WakesForADeadline) {
  const SystemClock clock;
  EventLoop loop(clock);
  const Instant due = clock.Now() + std::chrono::milliseconds(5);
  Instant ran;
  loop.timers().At(due, [&] {
    ran = clock.Now();
    loop.Stop();
  });
  loop.Run();
  EXPECT_GE(ran, due);
}

}  // namespace
}  // namespace plugind
