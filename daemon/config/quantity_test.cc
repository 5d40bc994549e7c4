#include "daemon/config/quantity.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <chrono>
#include <string>

namespace plugind::config {
namespace {

using std::chrono::hours;
using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::nanoseconds;
using std::chrono::seconds;

Duration Good(const std::string& text) {
  const auto [duration, error] = ParseDuration(text);
  EXPECT_EQ(error, "") << text;
  return duration;
}

TEST(DurationTest, TakesEveryUnit) {
  EXPECT_EQ(Good("7ns"), nanoseconds(7));
  EXPECT_EQ(Good("50us"), microseconds(50));
  EXPECT_EQ(Good("250ms"), milliseconds(250));
  EXPECT_EQ(Good("10s"), seconds(10));
  EXPECT_EQ(Good("5m"), minutes(5));
  EXPECT_EQ(Good("2h"), hours(2));
  EXPECT_EQ(Good("0ms"), Duration::zero());
}

TEST(DurationTest, TakesCombinations) {
  EXPECT_EQ(Good("1m30s"), seconds(90));
  EXPECT_EQ(Good("1h2m3s4ms5us6ns"), hours(1) + minutes(2) + seconds(3) + milliseconds(4) +
                                         microseconds(5) + nanoseconds(6));
  EXPECT_EQ(Good("1h5ms"), hours(1) + milliseconds(5));
}

TEST(DurationTest, TakesDecimalsExactly) {
  EXPECT_EQ(Good("1.5s"), milliseconds(1500));
  EXPECT_EQ(Good("0.000000001s"), nanoseconds(1));
  EXPECT_EQ(Good("1.50000000000000000000000h"), minutes(90));
  EXPECT_EQ(Good("0.1h0.5m"), minutes(6) + seconds(30));
}

TEST(DurationTest, TakesTheLongestThatFits) {
  EXPECT_EQ(Good("9223372036854775807ns"), Duration::max());
  EXPECT_EQ(ParseDuration("9223372036854775808ns").error, "longer than 292 years");
  EXPECT_EQ(ParseDuration("9223372036.854775808s").error, "longer than 292 years");
  EXPECT_EQ(ParseDuration("99999999999999999999h").error, "longer than 292 years");
}

TEST(DurationTest, RefusesWhatIsNone) {
  for (const auto* text : {"", "10", "s", "1.s", ".5s", "1 s", " 1s", "1s ", "1S", "1d", "1e3s",
                           "+1s", "1s-1ms", "1,5s", "1.5.5s", "0", "inf", "1µs"}) {
    EXPECT_NE(ParseDuration(text).error, "") << text;
  }
  EXPECT_EQ(ParseDuration("0.05us").value, Good("50ns"));
  EXPECT_EQ(ParseDuration("0.0005us").error, "finer than a nanosecond");
  EXPECT_EQ(ParseDuration("0.00000000000000001h").error, "finer than a nanosecond");
}

TEST(DurationTest, PrintsTheShortestForm) {
  EXPECT_EQ(ToString(Duration::zero()), "0s");
  EXPECT_EQ(ToString(seconds(60)), "1m");
  EXPECT_EQ(ToString(seconds(90)), "1m30s");
  EXPECT_EQ(ToString(milliseconds(1500)), "1s500ms");
}

RC_GTEST_PROP(DurationTest, PrintsWhatItTakes, ()) {
  const Duration duration(*rc::gen::nonNegative<int64_t>());
  const auto [parsed, error] = ParseDuration(ToString(duration));
  RC_ASSERT(error.empty());
  RC_ASSERT(parsed == duration);
}

TEST(SizeTest, TakesBinaryUnits) {
  EXPECT_EQ(ParseSize("100B").value, 100u);
  EXPECT_EQ(ParseSize("256KiB").value, 256u * 1024);
  EXPECT_EQ(ParseSize("64MiB").value, 64u << 20);
  EXPECT_EQ(ParseSize("3GiB").value, 3ull << 30);
}

TEST(SizeTest, RefusesWhatIsNone) {
  for (const auto* text : {"", "KiB", "1", "1KB", "1k", "-1B", "1.5MiB", "1 KiB", "1KiB "}) {
    EXPECT_NE(ParseSize(text).error, "") << text;
  }
  EXPECT_EQ(ParseSize("8589934592GiB").error, "larger than 8 EiB");
}

RC_GTEST_PROP(SizeTest, PrintsWhatItTakes, ()) {
  const auto bytes = static_cast<uint64_t>(*rc::gen::nonNegative<int64_t>());
  const auto [parsed, error] = ParseSize(SizeToString(bytes));
  RC_ASSERT(error.empty());
  RC_ASSERT(parsed == bytes);
}

}  // namespace
}  // namespace plugind::config
