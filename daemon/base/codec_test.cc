#include "daemon/base/codec.h"

#include <gtest/gtest.h>

namespace plugind {
namespace {

TEST(CodecTest, ReadsBackWhatWasWritten) {
  Writer writer;
  writer.Put(uint8_t{7}).Put(int64_t{-3}).Put("text").Put(std::vector<std::string>{"a", ""});
  Reader reader(writer.bytes());
  EXPECT_EQ(reader.Get<uint8_t>(), 7);
  EXPECT_EQ(reader.Get<int64_t>(), -3);
  EXPECT_EQ(reader.GetView(), "text");
  EXPECT_EQ(reader.GetStrings(), (std::vector<std::string>{"a", ""}));
  EXPECT_TRUE(reader.Done());
}

TEST(CodecTest, ATruncatedFieldFailsThatReadAndAllAfterIt) {
  Writer writer;
  writer.Put("text").Put(uint32_t{1});
  const std::string cut = writer.bytes().substr(0, 6);
  Reader reader(cut);
  EXPECT_EQ(reader.GetView(), "");
  EXPECT_FALSE(reader.ok());
  EXPECT_EQ(reader.Get<uint32_t>(), 0U);
}

TEST(CodecTest, ALyingCountEndsAtTheEndOfTheBytes) {
  Writer writer;
  writer.Put(uint32_t{0xffffffff});
  Reader reader(writer.bytes());
  EXPECT_TRUE(reader.GetStrings().size() <= 1);
  EXPECT_FALSE(reader.ok());
}

}  // namespace
}  // namespace plugind
