#include "daemon/observe/shared_ring.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <random>

namespace plugind::observe {
namespace {

constexpr size_t kOwner = 100;

SharedRing MakeRing(size_t capacity) {
  auto ring = SharedRing::Create("plugind-test", SharedRing::Kind::kTest, capacity, kOwner);
  EXPECT_TRUE(ring.ok()) << ring.status();
  return std::move(ring).value();
}

absl::StatusOr<SharedRing> Reopened(const SharedRing& ring) {
  return SharedRing::Reopen(ring.memory().Duplicate(), SharedRing::Kind::kTest, kOwner);
}

std::string Text(const SharedRing& ring, uint64_t sequence) {
  std::string scratch;
  return std::string(ring.Get(sequence, scratch));
}

TEST(SharedRingTest, NumbersFromOneAndReadsBack) {
  SharedRing ring = MakeRing(4096);
  EXPECT_EQ(ring.next_sequence(), 1U);
  EXPECT_EQ(ring.Append("one"), 1U);
  EXPECT_EQ(ring.Append(""), 2U);
  EXPECT_EQ(Text(ring, 1), "one");
  EXPECT_EQ(Text(ring, 2), "");
  EXPECT_EQ(Text(ring, 0), "");
  EXPECT_EQ(Text(ring, 3), "");
}

TEST(SharedRingTest, KeepsTheNewestAndAllOfThemWhole) {
  SharedRing ring = MakeRing(4096);
  std::mt19937 random(1);
  std::vector<std::string> all = {""};
  for (uint64_t i = 1; i < 1000; ++i) {
    all.emplace_back(random() % ring.max_payload(), static_cast<char>('a' + i % 26));
    ASSERT_EQ(ring.Append(all.back()), i);
    ASSERT_EQ(ring.next_sequence(), i + 1);
    for (uint64_t kept = ring.first_sequence(); kept <= i; ++kept) {
      ASSERT_EQ(Text(ring, kept), all[kept]);
    }
  }
  EXPECT_GT(ring.first_sequence(), 900U);
}

TEST(SharedRingTest, ReopenFindsTheSameRecordsAndGoesOnCounting) {
  SharedRing ring = MakeRing(4096);
  for (int i = 0; i < 1000; ++i) ring.Append("record " + std::to_string(i));
  ring.owner_bytes()[7] = std::byte{42};
  auto again = Reopened(ring);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->first_sequence(), ring.first_sequence());
  EXPECT_EQ(again->Append("next"), 1001U);
  EXPECT_EQ(Text(*again, 1000), "record 999");
  EXPECT_EQ(again->owner_bytes()[7], std::byte{42});
}

TEST(SharedRingTest, TheLargestRecordsNeverEmptyTheRing) {
  SharedRing ring = MakeRing(4096);
  const std::string large(ring.max_payload() + 10, 'x');
  for (uint64_t i = 1; i < 50; ++i) {
    ring.Append(large);
    EXPECT_EQ(Text(ring, i).size(), ring.max_payload());
    auto again = Reopened(ring);
    ASSERT_TRUE(again.ok()) << again.status();
    EXPECT_EQ(again->next_sequence(), i + 1);
  }
}

TEST(SharedRingTest, AnEmptyRingReopens) {
  SharedRing ring = MakeRing(4096);
  auto again = Reopened(ring);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->Append("x"), 1U);
}

TEST(SharedRingTest, WhatIsNotSuchAMemoryIsDataLoss) {
  EXPECT_EQ(SharedRing::Reopen(UniqueFd(), SharedRing::Kind::kTest, kOwner).status().code(),
            absl::StatusCode::kDataLoss);
  UniqueFd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
  EXPECT_EQ(SharedRing::Reopen(std::move(null), SharedRing::Kind::kTest, kOwner).status().code(),
            absl::StatusCode::kDataLoss);
  UniqueFd unsealed(::memfd_create("x", MFD_CLOEXEC));
  ASSERT_EQ(::ftruncate(unsealed.get(), 65536), 0);
  EXPECT_EQ(
      SharedRing::Reopen(std::move(unsealed), SharedRing::Kind::kTest, kOwner).status().code(),
      absl::StatusCode::kDataLoss);
  SharedRing ring = MakeRing(4096);
  EXPECT_EQ(SharedRing::Reopen(ring.memory().Duplicate(), SharedRing::Kind::kEventLog, kOwner)
                .status()
                .code(),
            absl::StatusCode::kDataLoss);
  EXPECT_EQ(
      SharedRing::Reopen(ring.memory().Duplicate(), SharedRing::Kind::kTest, 5).status().code(),
      absl::StatusCode::kDataLoss);
}

// A small ring evicts at each append: the record under the tail must have been given up before its
// place is written over.
TEST(SharedRingTest, AWriterThatIsKilledAtAnyInstantLeavesWholeRecords) {
  SharedRing ring = MakeRing(4096);
  std::mt19937 random(std::random_device{}());
  // Prepared, so that the writer does nothing but append.
  std::vector<std::string> texts;
  for (char c = 'a'; c <= 'z'; ++c) texts.emplace_back(ring.max_payload(), c);
  uint64_t newest = 1;
  for (int kill = 0; kill < 200; ++kill) {
    const pid_t parent = ::getpid();
    const pid_t writer = ::fork();
    ASSERT_GE(writer, 0);
    if (writer == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      auto mine = Reopened(ring);
      if (!mine.ok() || ::getppid() != parent) ::_exit(1);
      for (std::minstd_rand lengths(static_cast<uint32_t>(kill));;) {
        const std::string_view letters = texts[mine->next_sequence() % texts.size()];
        mine->Append(letters.substr(0, lengths() % letters.size()));
      }
    }
    // Until it writes; what has a number is there from then on.
    uint64_t seen = newest;
    while (seen == newest) {
      auto now = Reopened(ring);
      if (now.ok()) seen = now->next_sequence();
    }
    for (uint64_t spin = random() % 100000; spin > 0; --spin)
      std::atomic_signal_fence(std::memory_order_seq_cst);
    ::kill(writer, SIGKILL);
    int status = 0;
    ASSERT_EQ(::waitpid(writer, &status, 0), writer);
    ASSERT_TRUE(WIFSIGNALED(status)) << status;

    auto next = Reopened(ring);
    ASSERT_TRUE(next.ok()) << next.status();
    ASSERT_GE(next->next_sequence(), seen);
    newest = next->next_sequence();
    for (uint64_t i = next->first_sequence(); i < newest; ++i) {
      const std::string text = Text(*next, i);
      ASSERT_EQ(text, texts[i % texts.size()].substr(0, text.size()));
    }
  }
}

// Any byte of the header or of the records may be wrong: the ring is refused, or what it gives back
// is within bounds.
TEST(SharedRingTest, ADamagedMemoryNeverLeadsOutOfBounds) {
  std::mt19937 random(2);
  int refused = 0;
  for (int round = 0; round < 1000; ++round) {
    SharedRing ring = MakeRing(4096);
    for (int i = 0; i < 60; ++i) ring.Append(std::string(random() % 150, 'a'));
    auto memory = SharedMemory::Reopen(ring.memory().Duplicate());
    ASSERT_TRUE(memory.ok());
    for (int flips = 0; flips < 3; ++flips) {
      const size_t header = random() % 2;
      const size_t at = header ? random() % 64 : random() % memory->bytes().size();
      memory->bytes()[at] ^= static_cast<std::byte>(1U << (random() % 8));
    }
    auto again = Reopened(ring);
    if (!again.ok()) {
      ASSERT_EQ(again.status().code(), absl::StatusCode::kDataLoss);
      ++refused;
      continue;
    }
    std::string scratch;
    size_t bytes = 0;
    for (uint64_t i = again->first_sequence(); i < again->next_sequence(); ++i) {
      for (const char c : again->Get(i, scratch)) bytes += static_cast<size_t>(c) & 1;
    }
    for (int i = 0; i < 100; ++i) again->Append(std::string(bytes % 100, 'b'));
  }
  EXPECT_GT(refused, 300);
}

TEST(SharedRingTest, AnIdleRingTouchesOnePage) {
  SharedRing ring = MakeRing(1 << 20);
  auto memory = SharedMemory::Reopen(ring.memory().Duplicate());
  ASSERT_TRUE(memory.ok());
  std::vector<unsigned char> resident(memory->bytes().size() / 4096);
  ASSERT_EQ(::mincore(memory->bytes().data(), memory->bytes().size(), resident.data()), 0);
  EXPECT_EQ(std::count(resident.begin(), resident.end(), 1), 1);
}

}  // namespace
}  // namespace plugind::observe
