#include "daemon/config/suggest.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <string>

namespace plugind::config {
namespace {

TEST(EditDistanceTest, CountsSlipsOfEachKind) {
  EXPECT_EQ(EditDistance("command", "command"), 0u);
  EXPECT_EQ(EditDistance("comand", "command"), 1u);
  EXPECT_EQ(EditDistance("commmand", "command"), 1u);
  EXPECT_EQ(EditDistance("cpmmand", "command"), 1u);
  EXPECT_EQ(EditDistance("enalbed", "enabled"), 1u);
  EXPECT_EQ(EditDistance("", "abc"), 3u);
}

RC_GTEST_PROP(EditDistanceTest, IsSymmetricAndZeroOnlyForEquals, ()) {
  const auto letters = rc::gen::container<std::string>(rc::gen::inRange('a', 'd'));
  const auto a = *letters;
  const auto b = *letters;
  RC_ASSERT(EditDistance(a, b) == EditDistance(b, a));
  RC_ASSERT((EditDistance(a, b) == 0) == (a == b));
}

TEST(NearestTest, GuessesOnlyWhatIsNear) {
  const std::vector<std::string> known = {"interval", "timeout", "failures", "max"};
  EXPECT_EQ(Nearest("intervall", known), "interval");
  EXPECT_EQ(Nearest("time_out", known), "timeout");
  EXPECT_EQ(Nearest("mxa", known), "max");
  EXPECT_EQ(Nearest("zzz", known), "");
  EXPECT_EQ(Nearest("", known), "");
  EXPECT_EQ(Nearest(std::string(1'000'000, 'x'), known), "");
}

}  // namespace
}  // namespace plugind::config
