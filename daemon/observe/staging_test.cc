#include "daemon/observe/staging.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <random>
#include <vector>

namespace plugind::observe {
namespace {

// The memory, and a successor on it whenever a predecessor "dies": nothing else is carried over.
class StagingTest : public testing::Test {
 protected:
  StagingTest() {
    for (char& c : secret_) c = static_cast<char>(random_());
    Staging::MakePattern(secret_);
  }
  Staging Successor() {
    Staging next(control_, bytes(), secret_);
    EXPECT_TRUE(next.Recover().ok());
    return next;
  }
  Staging::Bytes bytes() { return Staging::Bytes(memory_.data(), memory_.size()); }
  static void Store(const std::array<iovec, 2>& range, std::string_view text) {
    for (const iovec& piece : range) {
      const size_t size = std::min(piece.iov_len, text.size());
      std::memcpy(piece.iov_base, text.data(), size);
      text.remove_prefix(size);
    }
  }
  static std::string Pending(const Staging& staging) {
    std::string scratch;
    return std::string(staging.Pending(Staging::kCapacity, scratch));
  }
  static void Consume(Staging& staging, size_t size) {
    staging.progress().consumed += size;
    staging.progress().delivered += size;
    staging.Commit();
  }

  std::mt19937 random_{1};
  Staging::Control control_{};
  std::vector<char> memory_ = std::vector<char>(Staging::kCapacity);
  Staging::Secret secret_{};
};

TEST_F(StagingTest, AReadThatDidNotHappenIsForgotten) {
  Staging staging = Successor();
  staging.Append("before");
  staging.BeginFill(5);
  EXPECT_EQ(Pending(Successor()), "before");
}

TEST_F(StagingTest, AReadThatHappenedIsThereWhenDeathCameBeforeItWasPublished) {
  for (size_t size = 1; size < 300; ++size) {
    control_ = {};
    Staging staging = Successor();
    staging.Append("before");
    Store(staging.BeginFill(size), std::string(size, 'x'));
    EXPECT_EQ(Pending(Successor()), "before" + std::string(size, 'x'));
  }
}

TEST_F(StagingTest, OfAShortReadOnlyWhatCameIsThere) {
  for (size_t came = 0; came < 300; ++came) {
    control_ = {};
    Staging staging = Successor();
    Store(staging.BeginFill(300), std::string(came, 'x'));
    EXPECT_EQ(Pending(Successor()), std::string(came, 'x'));
  }
}

TEST_F(StagingTest, AShortReadThatWasReportedLeavesNoIntent) {
  Staging staging = Successor();
  Store(staging.BeginFill(300), "abc");
  staging.EndFill(3);
  EXPECT_EQ(Pending(Successor()), "abc");
  staging.BeginFill(300);
  staging.EndFill(0);
  EXPECT_EQ(Pending(Successor()), "abc");
}

TEST_F(StagingTest, BytesAreOnceAndInOrderWhereverItDies) {
  std::string sent;
  std::string received;
  Staging staging = Successor();
  for (int round = 0; round < 1500; ++round) {
    const size_t size = std::min<size_t>(random_() % 9000, staging.free_space());
    if (size > 0) {
      std::string chunk;
      for (size_t i = 0; i < size; ++i)
        chunk.push_back(static_cast<char>('a' + (sent.size() + i) % 26));
      const auto range = staging.BeginFill(size);
      switch (random_() % 3) {
        case 0:  // dies before the read
          break;
        case 1:  // dies after it
          Store(range, chunk);
          sent += chunk;
          break;
        default:
          Store(range, chunk);
          sent += chunk;
          staging.EndFill(size);
      }
    }
    Staging next = Successor();
    const std::string pending = Pending(next);
    const size_t consumed = pending.empty() ? 0 : random_() % (pending.size() + 1);
    received += pending.substr(0, consumed);
    Consume(next, consumed);
    // `staging` goes on as the successor: both are views of the same memory.
    EXPECT_TRUE(staging.Recover().ok());
  }
  received += Pending(staging);
  EXPECT_EQ(received, sent);
  EXPECT_GT(sent.size(), 10 * Staging::kCapacity);
}

TEST_F(StagingTest, ADamagedControlIsRefusedOrHarmless) {
  int refused = 0;
  for (int round = 0; round < 3000; ++round) {
    control_ = {};
    Staging staging = Successor();
    staging.Append(std::string(random_() % 3000, 'x'));
    Consume(staging, staging.pending() / 2);
    staging.BeginFill(random_() % 3000);
    auto* const raw = reinterpret_cast<unsigned char*>(&control_);
    for (int flips = 0; flips < 2; ++flips) {
      raw[random_() % sizeof control_] ^= static_cast<unsigned char>(1U << (random_() % 8));
    }
    Staging next(control_, bytes(), secret_);
    if (!next.Recover().ok()) {
      ++refused;
      continue;
    }
    ASSERT_LE(next.pending(), Staging::kCapacity);
    ASSERT_EQ(Pending(next).size(), next.pending());
    next.Append(std::string(next.free_space(), 'y'));
    ASSERT_EQ(Pending(next).size(), Staging::kCapacity);
  }
  EXPECT_GT(refused, 800);
}

}  // namespace
}  // namespace plugind::observe
