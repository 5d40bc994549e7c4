// Durations and sizes as people write them: "250ms", "1m30s", "64KiB". Pure functions.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "daemon/base/clock.h"

namespace plugind::config {

// A value, or why the text is none.
template <typename T>
struct Parsed {
  T value{};
  std::string error;  // empty: `value` holds
};

// Units h, m, s, ms, us, ns, each at most once and in this order; decimals as far as they are whole
// nanoseconds. Never negative; less than 292 years.
Parsed<Duration> ParseDuration(std::string_view text);
// The shortest such text, e.g. "1m30s", "0s".
std::string ToString(Duration duration);

// Bytes: a number with KiB, MiB, GiB or B behind it.
Parsed<uint64_t> ParseSize(std::string_view text);
// In the largest unit that divides it, e.g. "256KiB", "1000B".
std::string SizeToString(uint64_t bytes);

}  // namespace plugind::config
