#include "sdk/cpp/src/output_buffer.h"

#include <gtest/gtest.h>

namespace plugind::sdk {
namespace {

TEST(OutputBufferTest, GivesBackWhatWasPutInInOrder) {
  OutputBuffer buffer(100);
  buffer.Append("one\n");
  buffer.Append("two\n");
  EXPECT_EQ(buffer.Take(6), "one\ntw");
  EXPECT_EQ(buffer.Take(6), "o\n");
  EXPECT_TRUE(buffer.empty());
  EXPECT_EQ(buffer.Take(6), "");
}

TEST(OutputBufferTest, DropsTheOldestWholeLinesAndSaysSo) {
  OutputBuffer buffer(10);
  buffer.Append("first\nsecond\nlast\n");
  EXPECT_EQ(buffer.dropped(), 13U);
  EXPECT_EQ(buffer.Take(4), "[13 bytes of output were dropped: nobody read them]\n");
  EXPECT_EQ(buffer.Take(100), "last\n");
  EXPECT_TRUE(buffer.empty());
}

TEST(OutputBufferTest, CutsALineThatIsLongerThanItself) {
  OutputBuffer buffer(10);
  buffer.Append(std::string(25, 'x'));
  EXPECT_EQ(buffer.dropped(), 15U);
  buffer.Take(1);
  EXPECT_EQ(buffer.Take(100), std::string(10, 'x'));
}

TEST(OutputBufferTest, LosesNoByteUncounted) {
  OutputBuffer buffer(64);
  size_t put = 0;
  size_t got = 0;
  for (int i = 0; i < 1000; ++i) {
    const std::string line = std::string(static_cast<size_t>(i * 7 % 50), 'a') + "\n";
    put += line.size();
    buffer.Append(line);
    if (i % 3 == 0) {
      const std::string taken = buffer.Take(20);
      if (taken.front() != '[') got += taken.size();
    }
  }
  while (!buffer.empty()) {
    const std::string taken = buffer.Take(20);
    if (taken.front() != '[') got += taken.size();
  }
  EXPECT_GT(buffer.dropped(), 0U);
  EXPECT_EQ(put, got + buffer.dropped());
}

}  // namespace
}  // namespace plugind::sdk
