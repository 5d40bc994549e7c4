#include "daemon/observe/plugin_log.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <random>

#include "daemon/observe/shared_memory.h"
#include "daemon/observe/text.h"

namespace plugind::observe {
namespace {

using testing::ElementsAre;
using Pumped = PluginLog::Pumped;

struct Pipe {
  explicit Pipe(int flags = 0) {
    int fds[2];
    EXPECT_EQ(::pipe2(fds, O_CLOEXEC | flags), 0);
    read.reset(fds[0]);
    write.reset(fds[1]);
    EXPECT_GE(::fcntl(write.get(), F_SETFL, O_NONBLOCK | flags), 0);
  }
  size_t Write(std::string_view text) {
    const ssize_t written = ::write(write.get(), text.data(), text.size());
    return written < 0 ? 0 : static_cast<size_t>(written);
  }
  UniqueFd read;
  UniqueFd write;
};

class PluginLogTest : public testing::Test {
 protected:
  void SetUp() override {
    auto log = PluginLog::Create("greeter", 256 * 1024, clock_);
    ASSERT_TRUE(log.ok()) << log.status();
    log_ = *std::move(log);
  }
  void Attach(const std::string& instance = "7f3a") {
    out_.emplace();
    err_.emplace();
    log_->Attach(instance, out_->read.Duplicate(), err_->read.Duplicate());
    reads_ = {out_->read.Duplicate(), err_->read.Duplicate()};
    out_->read.reset();
    err_->read.reset();
  }
  // As if plugind had been killed and its successor had got the same fds from the keeper.
  void Reincarnate(const std::string& instance = "7f3a") {
    UniqueFd memory = log_->memory().Duplicate();
    log_.reset();
    auto log = PluginLog::Reopen("greeter", std::move(memory), clock_);
    ASSERT_TRUE(log.ok()) << log.status();
    log_ = *std::move(log);
    log_->Attach(instance, reads_[0].Duplicate(), reads_[1].Duplicate());
  }
  std::vector<std::string> Messages() const {
    std::vector<std::string> messages;
    for (const LogEntry& entry : log_->Read(1, 1 << 20)) messages.push_back(entry.message);
    return messages;
  }
  void ExpectBalanced() const {
    const auto all = log_->accounting();
    EXPECT_EQ(all.read, all.delivered + all.dropped + all.pending);
    EXPECT_EQ(all.dropped, log_->dropped_bytes());
  }

  FakeClock clock_;
  std::unique_ptr<PluginLog> log_;
  std::optional<Pipe> out_;
  std::optional<Pipe> err_;
  std::array<UniqueFd, 2> reads_;  // the keeper's
};

TEST_F(PluginLogTest, LinesOfBothStreamsBecomeEntries) {
  Attach();
  out_->Write("hello\nopen");
  err_->Write("[WARN] low\n{\"@level\":\"info\",\"@message\":\"m\",\"@module\":\"db\",\"n\":1}\n");
  EXPECT_EQ(log_->Pump(Source::kStdout), Pumped::kDrained);
  EXPECT_EQ(log_->Pump(Source::kStderr), Pumped::kDrained);
  const auto entries = log_->Read(1, 10);
  ASSERT_EQ(entries.size(), 3U);
  EXPECT_EQ(entries[0].sequence, 1U);
  EXPECT_EQ(entries[0].time, clock_.WallNow());
  EXPECT_EQ(entries[0].level, Level::kInfo);
  EXPECT_EQ(entries[0].source, Source::kStdout);
  EXPECT_EQ(entries[0].instance, "7f3a");
  EXPECT_EQ(entries[0].message, "hello");
  EXPECT_EQ(entries[1].level, Level::kWarn);
  EXPECT_EQ(entries[1].source, Source::kStderr);
  EXPECT_EQ(entries[2].module, "db");
  EXPECT_EQ(entries[2].fields, (Fields{{"n", "1"}}));
  EXPECT_EQ(log_->accounting().pending, 4U);
  ExpectBalanced();
}

TEST_F(PluginLogTest, AClosedPipeEndsTheOpenLine) {
  Attach();
  out_->Write("a\nlast words");
  out_->write.reset();
  EXPECT_EQ(log_->Pump(Source::kStdout), Pumped::kClosed);
  log_->Close(Source::kStdout);
  EXPECT_EQ(log_->fd(Source::kStdout), -1);
  EXPECT_EQ(log_->Pump(Source::kStdout), Pumped::kClosed);
  EXPECT_THAT(Messages(), ElementsAre("a", "last words"));
}

TEST_F(PluginLogTest, DetachTakesWhatIsLeftEndsOpenLinesAndCloses) {
  Attach();
  out_->Write("one\ntwo");
  err_->Write("panic: x");
  log_->Detach();
  EXPECT_THAT(Messages(), ElementsAre("one", "two", "panic: x"));
  EXPECT_EQ(log_->fd(Source::kStdout), -1);
  EXPECT_EQ(log_->fd(Source::kStderr), -1);
  Attach("8888");
  err_->Write("not of the panic before\n");
  log_->Pump(Source::kStderr);
  EXPECT_EQ(log_->Read(4, 1)[0].level, Level::kDebug);
  EXPECT_EQ(log_->Read(4, 1)[0].instance, "8888");
  ExpectBalanced();
}

TEST_F(PluginLogTest, OneCallTakesABoundedAmount) {
  Attach();
  ASSERT_GE(::fcntl(out_->write.get(), F_SETPIPE_SZ, 1 << 20), 1 << 20);
  std::string lines;
  while (lines.size() < 200 * 1024) lines += std::string(127, 'x') + "\n";
  ASSERT_EQ(out_->Write(lines), lines.size());
  EXPECT_EQ(log_->Pump(Source::kStdout), Pumped::kMore);
  EXPECT_EQ(log_->accounting().read, 64U * 1024);
  EXPECT_EQ(log_->Pump(Source::kStdout), Pumped::kMore);
  EXPECT_EQ(log_->Pump(Source::kStdout), Pumped::kMore);
  EXPECT_EQ(log_->Pump(Source::kStdout), Pumped::kDrained);
  EXPECT_EQ(log_->accounting().delivered, lines.size());
}

TEST_F(PluginLogTest, ALineWithoutEndIsCutShownOnceAndCounted) {
  Attach();
  std::vector<std::pair<size_t, bool>> shown;
  log_->SetStdoutTap([&](std::string_view line, bool truncated) {
    shown.emplace_back(line.size(), truncated);
    return false;
  });
  size_t sent = 0;
  const std::string block(64 * 1024, 'x');
  while (sent < (8U << 20)) {
    sent += out_->Write(block);
    log_->Pump(Source::kStdout);
  }
  EXPECT_THAT(shown, ElementsAre(std::pair(PluginLog::kMaxLine, true)));
  EXPECT_EQ(log_->dropped_bytes(), sent - PluginLog::kMaxLine);
  EXPECT_EQ(log_->Read(1, 1)[0].message.size(), PluginLog::kMaxLine);
  EXPECT_EQ(log_->Read(1, 1)[0].dropped_bytes, 0U);
  out_->Write("\nnext\n");
  log_->Pump(Source::kStdout);
  const auto next = log_->Read(2, 10);
  ASSERT_EQ(next.size(), 1U);
  EXPECT_EQ(next[0].message, "next");
  EXPECT_EQ(next[0].dropped_bytes, sent + 1 - PluginLog::kMaxLine);
  ExpectBalanced();
}

TEST_F(PluginLogTest, ACutFallsBetweenCharacters) {
  log_->AppendOutput(Source::kStdout, std::string(PluginLog::kMaxLine - 1, 'x') + "€ and more\n");
  EXPECT_EQ(log_->Read(1, 1)[0].message, std::string(PluginLog::kMaxLine - 1, 'x'));
  EXPECT_EQ(log_->dropped_bytes(), std::string("€ and more\n").size());
  ExpectBalanced();
}

TEST_F(PluginLogTest, WhatTheTapTakesIsNotLogged) {
  Attach();
  log_->SetStdoutTap([&](std::string_view line, bool) {
    if (line != "1|1|unix|/x|grpc") return false;
    log_->SetStdoutTap(nullptr);
    log_->AppendNotice(Level::kInfo, "handshake");
    return true;
  });
  out_->Write("noise\n1|1|unix|/x|grpc\n1|1|unix|/x|grpc\n");
  err_->Write("1|1|unix|/x|grpc\n");
  log_->Pump(Source::kStdout);
  log_->Pump(Source::kStderr);
  EXPECT_THAT(Messages(),
              ElementsAre("noise", "handshake", "1|1|unix|/x|grpc", "1|1|unix|/x|grpc"));
  EXPECT_EQ(log_->Read(2, 1)[0].source, Source::kPlugind);
  Reincarnate();
  EXPECT_EQ(log_->Pump(Source::kStdout), Pumped::kDrained);
  EXPECT_EQ(Messages().size(), 4U);
  ExpectBalanced();
}

TEST_F(PluginLogTest, ASuccessorGoesOnWhereItsPredecessorWas) {
  Attach();
  out_->Write("one\nop");
  err_->Write("panic: x\n");
  log_->Pump(Source::kStdout);
  log_->Pump(Source::kStderr);
  Reincarnate();
  out_->Write("en\n");
  err_->Write("goroutine 1\n");
  log_->Pump(Source::kStdout);
  log_->Pump(Source::kStderr);
  EXPECT_THAT(Messages(), ElementsAre("one", "panic: x", "open", "goroutine 1"));
  EXPECT_EQ(log_->Read(4, 1)[0].level, Level::kError);
  ExpectBalanced();
}

TEST_F(PluginLogTest, ASuccessorRemembersThatALineIsBeingSkipped) {
  Attach();
  out_->Write(std::string(PluginLog::kMaxLine + 100, 'x'));
  log_->Pump(Source::kStdout);
  Reincarnate();
  out_->Write("rest\nnext\n");
  log_->Pump(Source::kStdout);
  EXPECT_EQ(Messages()[1], "next");
  EXPECT_EQ(log_->Read(2, 1)[0].dropped_bytes, 105U);
  ExpectBalanced();
}

TEST_F(PluginLogTest, AnOpenLineOfADeadInstanceBelongsToIt) {
  Attach("old");
  out_->Write("old line");
  log_->Pump(Source::kStdout);
  Reincarnate("new");
  out_->Write("new line\n");
  log_->Pump(Source::kStdout);
  const auto entries = log_->Read(1, 10);
  ASSERT_EQ(entries.size(), 2U);
  EXPECT_EQ(entries[0].instance, "old");
  EXPECT_EQ(entries[1].instance, "new");
  EXPECT_EQ(entries[1].message, "new line");
}

TEST_F(PluginLogTest, ChunksNeedNotEndAtLines) {
  for (const char c : std::string("two\nlines\nopen")) log_->AppendOutput(Source::kStdout, {&c, 1});
  log_->AppendOutput(Source::kStderr, "other\n");
  EXPECT_THAT(Messages(), ElementsAre("two", "lines", "other"));
  log_->Detach();
  EXPECT_EQ(Messages().back(), "open");
}

TEST_F(PluginLogTest, ReadsFromAnyNumberAndTellsWhereATailBegins) {
  for (int i = 1; i <= 10; ++i) log_->AppendNotice(Level::kInfo, std::to_string(i));
  EXPECT_EQ(log_->next_sequence(), 11U);
  EXPECT_EQ(log_->TailStart(3), 8U);
  EXPECT_EQ(log_->TailStart(0), 11U);
  EXPECT_EQ(log_->TailStart(1000), 1U);
  EXPECT_EQ(log_->Read(8, 100).size(), 3U);
  EXPECT_EQ(log_->Read(8, 2).size(), 2U);
  EXPECT_EQ(log_->Read(11, 100).size(), 0U);
  EXPECT_EQ(log_->Read(0, 100).front().sequence, 1U);
  for (int i = 0; i < 20000; ++i) log_->AppendNotice(Level::kInfo, "more");
  EXPECT_GT(log_->Read(1, 1).front().sequence, 1U);
  EXPECT_EQ(log_->TailStart(100000), log_->Read(1, 1).front().sequence);
}

TEST_F(PluginLogTest, TheTailOfStderrIsThatOfOneInstance) {
  Attach("a");
  err_->Write("first\nsecond\n[ERROR] third\n");
  out_->Write("stdout\n");
  log_->Detach();
  Attach("b");
  err_->Write("other\n");
  log_->Detach();
  EXPECT_EQ(log_->StderrTail("a", 1000), "first\nsecond\nthird\n");
  EXPECT_EQ(log_->StderrTail("a", 13), "second\nthird\n");
  EXPECT_EQ(log_->StderrTail("b", 1000), "other\n");
  EXPECT_EQ(log_->StderrTail("c", 1000), "");
}

TEST_F(PluginLogTest, FollowersAreToldOncePerPump) {
  Attach();
  int told = 0;
  log_->OnAppended([&] { ++told; });
  out_->Write("a\nb\nc\n");
  log_->Pump(Source::kStdout);
  EXPECT_EQ(told, 1);
  log_->Pump(Source::kStdout);
  EXPECT_EQ(told, 1);
  log_->AppendNotice(Level::kInfo, "x");
  EXPECT_EQ(told, 2);
}

TEST_F(PluginLogTest, APluginThatMakesItsPipeKeepPacketsApartLosesNothing) {
  Attach();
  ASSERT_GE(::fcntl(out_->write.get(), F_SETFL, O_NONBLOCK | O_DIRECT), 0);
  for (int i = 0; i < 10; ++i) out_->Write("packet\n");
  log_->Pump(Source::kStdout);
  EXPECT_EQ(Messages().size(), 10U);
  ExpectBalanced();
}

TEST_F(PluginLogTest, EveryEntryIsCleanAndTheBooksBalanceWhateverComes) {
  std::mt19937 random(4);
  Attach();
  std::string line;
  for (int round = 0; round < 600; ++round) {
    line.clear();
    for (size_t n = random() % 300; n > 0; --n) line.push_back(static_cast<char>(random()));
    if (random() % 40 == 0) line += std::string(random() % 20000, '\x7f');
    if (random() % 2) line.push_back('\n');
    Pipe& pipe = random() % 2 ? *out_ : *err_;
    pipe.Write(line);
    log_->Pump(random() % 2 ? Source::kStdout : Source::kStderr);
    log_->AppendOutput(Source::kStderr, line);
    ExpectBalanced();
    if (random() % 50 == 0) Reincarnate();
  }
  log_->Detach();
  ExpectBalanced();
  EXPECT_EQ(log_->accounting().pending, 0U);
  uint64_t expected = log_->Read(1, 1).front().sequence;
  for (const LogEntry& entry : log_->Read(1, 1 << 20)) {
    ASSERT_EQ(entry.sequence, expected++);
    ASSERT_EQ(entry.message, Sanitized(entry.message));
  }
  EXPECT_EQ(expected, log_->next_sequence());
}

TEST_F(PluginLogTest, ASmallCapacityStillHoldsTheLongestEntries) {
  auto log = PluginLog::Create("tiny", 1, clock_);
  ASSERT_TRUE(log.ok());
  for (int i = 0; i < 5; ++i) {
    (*log)->AppendOutput(Source::kStdout, std::string(PluginLog::kMaxLine, '\x7f') + "\n");
    EXPECT_EQ((*log)->Read((*log)->next_sequence() - 1, 1).front().message.size(),
              4 * PluginLog::kMaxLine);
  }
}

TEST_F(PluginLogTest, ADamagedMemoryIsRefusedOrHarmless) {
  Attach();
  std::mt19937 random(5);
  std::string text;
  for (int i = 0; i < 300; ++i) text += "[INFO] line " + std::string(random() % 100, 'x') + "\n";
  log_->AppendOutput(Source::kStdout, text + "open");
  auto memory = SharedMemory::Reopen(log_->memory().Duplicate());
  ASSERT_TRUE(memory.ok());
  const std::vector<std::byte> good(memory->bytes().begin(), memory->bytes().end());
  const size_t records = 4096 + 4 * 32 * 1024;
  int refused = 0;
  for (int round = 0; round < 200; ++round) {
    std::copy(good.begin(), good.end(), memory->bytes().begin());
    for (int flips = 0; flips < 4; ++flips) {
      const size_t at = random() % 2 ? random() % 4096 : records + random() % 30000;
      memory->bytes()[at] ^= static_cast<std::byte>(1U << (random() % 8));
    }
    auto log = PluginLog::Reopen("greeter", log_->memory().Duplicate(), clock_);
    if (!log.ok()) {
      ASSERT_EQ(log.status().code(), absl::StatusCode::kDataLoss) << log.status();
      ++refused;
      continue;
    }
    (*log)->Read(1, 1000);
    (*log)->StderrTail("7f3a", 65536);
    (*log)->AppendOutput(Source::kStdout, text);
    (*log)->Detach();
    const auto entries = (*log)->Read((*log)->TailStart(1), 1);
    ASSERT_EQ(entries.size(), 1U);
  }
  EXPECT_GT(refused, 20);
}

TEST_F(PluginLogTest, AnIdleLogTouchesOnePage) {
  Attach();
  auto memory = SharedMemory::Reopen(log_->memory().Duplicate());
  ASSERT_TRUE(memory.ok());
  std::vector<unsigned char> resident(memory->bytes().size() / 4096);
  ASSERT_EQ(::mincore(memory->bytes().data(), memory->bytes().size(), resident.data()), 0);
  EXPECT_EQ(std::count(resident.begin(), resident.end(), 1), 1);
  // One that prints little goes on touching little.
  for (int i = 0; i < 100; ++i) {
    err_->Write("a few words now and then\n");
    log_->Pump(Source::kStderr);
  }
  ASSERT_EQ(::mincore(memory->bytes().data(), memory->bytes().size(), resident.data()), 0);
  EXPECT_LE(std::count(resident.begin(), resident.end(), 1), 7);
}

}  // namespace
}  // namespace plugind::observe
