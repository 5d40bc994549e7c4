// Processes that pump a numbered stream into a log and are killed with SIGKILL while they do: the
// next one goes on, and every line is there once and in order. As in life, the pipes and the memory
// are held by the parent.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <random>

#include "daemon/observe/plugin_log.h"

namespace plugind::observe {
namespace {

constexpr size_t kCapacity = size_t{4} << 20;
// How far the writer may be ahead of what was checked: with lines of 220 bytes on average this is
// half of the capacity, so that nothing unchecked is overwritten while this process waits for a
// CPU.
constexpr uint64_t kLinesAhead = 4096;
constexpr char kInstance[] = "7f3a";

// Before any failpoint is reached in this process or its children, who look the directory up once.
const std::string& FailpointDirectory() {
  static const std::string directory = [] {
    std::string path = testing::TempDir() + "plugind-observe-" + std::to_string(::getpid());
    ::setenv("PLUGIND_FAILPOINT_DIR", path.c_str(), 1);
    return path;
  }();
  return directory;
}

struct Shared {
  std::atomic<bool> stop{false};
  std::atomic<int> pumping{0};
  std::atomic<uint64_t> written{0};  // lines on each stream
  std::atomic<uint64_t> checked{0};  // of them, on both streams
};

class CrashTest : public testing::Test {
 protected:
  void SetUp() override {
    std::filesystem::create_directory(FailpointDirectory());
    void* const at =
        ::mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ASSERT_NE(at, MAP_FAILED);
    shared_ = new (at) Shared;
    for (int i = 0; i < 2; ++i) {
      int fds[2];
      ASSERT_EQ(::pipe2(fds, O_CLOEXEC), 0);
      reads_[i].reset(fds[0]);
      writes_[i].reset(fds[1]);
    }
    auto log = PluginLog::Create("greeter", kCapacity, clock_);
    ASSERT_TRUE(log.ok());
    memory_ = (*log)->memory().Duplicate();
  }
  void TearDown() override {
    if (writer_ > 0) {  // a check has failed
      ::kill(writer_, SIGKILL);
      ::waitpid(writer_, nullptr, 0);
    }
    ::munmap(shared_, sizeof(Shared));
    std::filesystem::remove_all(FailpointDirectory());
  }

  // A child that does not outlive this process, whatever becomes of it.
  static pid_t ForkChild() {
    const pid_t parent = ::getpid();
    const pid_t pid = ::fork();
    if (pid == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      if (::getppid() != parent) ::_exit(3);
    }
    return pid;
  }

  // Writes numbered lines of all lengths to both pipes, in pieces that do not end where lines do,
  // until told to stop.
  void StartWriter() {
    writer_ = ForkChild();
    ASSERT_GE(writer_, 0);
    if (writer_ != 0) return;
    std::mt19937 random(7);
    uint64_t n = 0;
    while (!shared_->stop) {
      if (n - shared_->checked > kLinesAhead) {
        sched_yield();
        continue;
      }
      for (const UniqueFd& fd : writes_) {
        const size_t padding = random() % 8 ? random() % 80 : random() % 3000;
        const std::string line = std::to_string(n) + " " + std::string(padding, 'x') + "\n";
        for (size_t at = 0; at < line.size();) {
          const size_t piece = std::min<size_t>(line.size() - at, 1 + random() % 200);
          const ssize_t written = ::write(fd.get(), line.data() + at, piece);
          if (written < 0) ::_exit(1);
          at += static_cast<size_t>(written);
        }
      }
      shared_->written = ++n;
    }
    ::_exit(0);
  }

  pid_t StartPumper() {
    const pid_t pid = ForkChild();
    if (pid != 0) return pid;
    auto log = PluginLog::Reopen("greeter", memory_.Duplicate(), clock_);
    if (!log.ok()) ::_exit(2);
    (*log)->Attach(kInstance, reads_[0].Duplicate(), reads_[1].Duplicate());
    shared_->pumping++;
    for (;;) {
      const auto out = (*log)->Pump(Source::kStdout);
      const auto err = (*log)->Pump(Source::kStderr);
      if (out == PluginLog::Pumped::kMore || err == PluginLog::Pumped::kMore) continue;
      pollfd fds[] = {{(*log)->fd(Source::kStdout), POLLIN, 0},
                      {(*log)->fd(Source::kStderr), POLLIN, 0}};
      ::poll(fds, 2, -1);
    }
  }

  void Check() {
    auto log = PluginLog::Reopen("greeter", memory_.Duplicate(), clock_);
    ASSERT_TRUE(log.ok()) << log.status();
    CheckEntries(**log);
  }
  void CheckEntries(PluginLog& log) {
    for (const LogEntry& entry : log.Read(next_entry_, 1 << 20)) {
      ASSERT_EQ(entry.sequence, next_entry_++);
      ASSERT_EQ(entry.dropped_bytes, 0U);
      ASSERT_EQ(entry.instance, kInstance);
      ASSERT_EQ(std::strtoull(entry.message.c_str(), nullptr, 10), next_line_[entry.source]++)
          << "on stream " << static_cast<int>(entry.source);
      ASSERT_EQ(entry.message.find_first_not_of("0123456789 x"), std::string::npos);
    }
    shared_->checked = std::min(next_line_[Source::kStdout], next_line_[Source::kStderr]);
    const auto all = log.accounting();
    ASSERT_EQ(all.read, all.delivered + all.dropped + all.pending);
  }

  void StopWriterAndCheckAll() {
    shared_->stop = true;
    // The writer may be waiting for room in a pipe.
    auto log = PluginLog::Reopen("greeter", memory_.Duplicate(), clock_);
    ASSERT_TRUE(log.ok()) << log.status();
    (*log)->Attach(kInstance, reads_[0].Duplicate(), reads_[1].Duplicate());
    for (auto& fd : writes_) fd.reset();
    for (const Source source : {Source::kStdout, Source::kStderr}) {
      while ((*log)->Pump(source) != PluginLog::Pumped::kClosed) {
        (*log)->Pump(source == Source::kStdout ? Source::kStderr : Source::kStdout);
        sched_yield();
      }
    }
    int status = 0;
    ASSERT_EQ(::waitpid(writer_, &status, 0), writer_);
    writer_ = -1;
    ASSERT_EQ(status, 0);
    ASSERT_NO_FATAL_FAILURE(CheckEntries(**log));
    EXPECT_EQ(next_line_[Source::kStdout], shared_->written);
    EXPECT_EQ(next_line_[Source::kStderr], shared_->written);
    EXPECT_EQ((*log)->accounting().pending, 0U);
  }

  static void ExpectKilled(pid_t pid) {
    int status = 0;
    ASSERT_EQ(::waitpid(pid, &status, 0), pid);
    ASSERT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) << "status " << status;
  }

  SystemClock clock_;
  Shared* shared_ = nullptr;
  UniqueFd memory_;
  std::array<UniqueFd, 2> reads_;
  std::array<UniqueFd, 2> writes_;
  pid_t writer_ = -1;
  uint64_t next_entry_ = 1;
  std::map<Source, uint64_t> next_line_;
};

TEST_F(CrashTest, KilledAtAnyInstantNoLineIsLostOrThereTwice) {
  constexpr int kKills = 320;
  StartWriter();
  std::mt19937 random(std::random_device{}());
  for (int kill = 1; kill <= kKills; ++kill) {
    const pid_t pumper = StartPumper();
    while (shared_->pumping < kill) sched_yield();
    const auto until = std::chrono::steady_clock::now() + std::chrono::microseconds(random() % 400);
    while (std::chrono::steady_clock::now() < until) {
    }
    ::kill(pumper, SIGKILL);
    ASSERT_NO_FATAL_FAILURE(ExpectKilled(pumper));
    ASSERT_NO_FATAL_FAILURE(Check()) << "after kill " << kill;
  }
  ASSERT_NO_FATAL_FAILURE(StopWriterAndCheckAll());
  EXPECT_GT(shared_->written, static_cast<uint64_t>(kKills));
}

#if defined(PLUGIND_FAILPOINTS)
TEST_F(CrashTest, KilledBetweenAnyTwoStoresNoLineIsLostOrThereTwice) {
  StartWriter();
  for (int round = 0; round < 10; ++round) {
    for (const char* name :
         {"log-read-intended", "log-read-done", "log-entry-kept", "ring-evicted", "ring-copied"}) {
      const std::string path = FailpointDirectory() + "/" + name;
      const pid_t pumper = StartPumper();
      while (shared_->pumping == 0) sched_yield();
      shared_->pumping = 0;
      std::ofstream(path).close();
      ASSERT_NO_FATAL_FAILURE(ExpectKilled(pumper)) << name;
      ASSERT_FALSE(std::filesystem::exists(path));
      ASSERT_NO_FATAL_FAILURE(Check()) << "at " << name;
    }
  }
  ASSERT_NO_FATAL_FAILURE(StopWriterAndCheckAll());
}
#endif

}  // namespace
}  // namespace plugind::observe
