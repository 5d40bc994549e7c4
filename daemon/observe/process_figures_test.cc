#include "daemon/observe/process_figures.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include <latch>
#include <thread>

#include "daemon/base/unique_fd.h"

namespace plugind::observe {
namespace {

TEST(ProcessFiguresTest, CountsWhatIsOpenAndWhatRuns) {
  std::latch end(1);
  // ThreadSanitizer starts a thread of its own beside the first.
  std::thread first([&end] { end.wait(); });
  const ProcessFigures before = ReadProcessFigures();
  EXPECT_GT(before.resident_bytes, 100'000u);
  EXPECT_GE(before.virtual_bytes, before.resident_bytes);
  EXPECT_GT(before.max_fds, before.open_fds);
  const UniqueFd one(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  std::thread second([&end] { end.wait(); });
  const ProcessFigures after = ReadProcessFigures();
  end.count_down();
  first.join();
  second.join();
  EXPECT_EQ(after.open_fds, before.open_fds + 1);
  EXPECT_EQ(after.threads, before.threads + 1);
  EXPECT_GE(after.cpu_seconds, before.cpu_seconds);
}

}  // namespace
}  // namespace plugind::observe
