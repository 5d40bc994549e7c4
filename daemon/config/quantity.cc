#include "daemon/config/quantity.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <limits>

namespace plugind::config {
namespace {

struct Unit {
  std::string_view name;
  int64_t size;
};
// From the largest to the smallest.
constexpr std::array<Unit, 6> kTimeUnits = {{{"h", 3'600'000'000'000},
                                             {"m", 60'000'000'000},
                                             {"s", 1'000'000'000},
                                             {"ms", 1'000'000},
                                             {"us", 1'000},
                                             {"ns", 1}}};
constexpr std::array<Unit, 4> kSizeUnits = {
    {{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"B", 1}}};

constexpr std::string_view kDurationForm =
    R"(durations are strings with a unit: "250ms", "10s", "5m")";
constexpr std::string_view kSizeForm =
    R"(sizes are a number of bytes or a string with a unit: 65536, "64KiB", "1MiB")";

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

// The leading digits of `text`, which are taken off it.
std::string_view TakeDigits(std::string_view* text) {
  size_t count = 0;
  while (count < text->size() && IsDigit((*text)[count])) ++count;
  const auto digits = text->substr(0, count);
  text->remove_prefix(count);
  return digits;
}

// *total += digits × unit, unless that overflows.
bool AddProduct(std::string_view digits, int64_t unit, int64_t* total) {
  int64_t count = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), count);
  int64_t product = 0;
  return error == std::errc{} && end == digits.data() + digits.size() &&
         !__builtin_mul_overflow(count, unit, &product) &&
         !__builtin_add_overflow(*total, product, total);
}

// *total += 0.digits × unit; false when that is no whole number.
bool AddFraction(std::string_view digits, int64_t unit, int64_t* total) {
  for (const char digit : digits) {
    if (digit != '0' && (unit == 0 || unit % 10 != 0)) return false;
    unit /= 10;
    *total += (digit - '0') * unit;
  }
  return true;
}

}  // namespace

Parsed<Duration> ParseDuration(std::string_view text) {
  const auto bad = [](std::string_view error) { return Parsed<Duration>{{}, std::string(error)}; };
  if (text.starts_with('-')) return bad("durations cannot be negative");
  if (text.empty()) return bad(kDurationForm);

  int64_t total = 0;
  size_t next_unit = 0;  // the largest unit that may still come
  while (!text.empty()) {
    const auto whole = TakeDigits(&text);
    if (whole.empty()) return bad(kDurationForm);
    std::string_view fraction;
    if (text.starts_with('.')) {
      text.remove_prefix(1);
      fraction = TakeDigits(&text);
      if (fraction.empty()) return bad(kDurationForm);
    }
    size_t letters = 0;
    while (letters < text.size() && !IsDigit(text[letters])) ++letters;
    const auto name = text.substr(0, letters);
    text.remove_prefix(letters);

    size_t unit = 0;
    while (unit < kTimeUnits.size() && kTimeUnits[unit].name != name) ++unit;
    if (unit == kTimeUnits.size()) return bad(kDurationForm);
    if (unit < next_unit) return bad("units go from large to small, each once: \"1m30s\"");
    next_unit = unit + 1;

    const int64_t size = kTimeUnits[unit].size;
    if (!AddProduct(whole, size, &total)) return bad("longer than 292 years");
    int64_t part = 0;
    if (!AddFraction(fraction, size, &part)) return bad("finer than a nanosecond");
    if (__builtin_add_overflow(total, part, &total)) return bad("longer than 292 years");
  }
  return {Duration(total), ""};
}

std::string ToString(Duration duration) {
  int64_t rest = duration.count();
  if (rest == 0) return "0s";
  std::string text;
  for (const auto& unit : kTimeUnits) {
    if (rest >= unit.size) text += fmt::format("{}{}", rest / unit.size, unit.name);
    rest %= unit.size;
  }
  return text;
}

Parsed<uint64_t> ParseSize(std::string_view text) {
  const auto bad = [](std::string_view error) { return Parsed<uint64_t>{0, std::string(error)}; };
  const auto digits = TakeDigits(&text);
  if (digits.empty()) return bad(kSizeForm);
  for (const auto& unit : kSizeUnits) {
    if (unit.name != text) continue;
    int64_t bytes = 0;
    if (!AddProduct(digits, unit.size, &bytes)) return bad("larger than 8 EiB");
    return {static_cast<uint64_t>(bytes), ""};
  }
  return bad(kSizeForm);
}

std::string SizeToString(uint64_t bytes) {
  if (bytes == 0) return "0B";
  for (const auto& unit : kSizeUnits) {
    const auto size = static_cast<uint64_t>(unit.size);
    if (bytes % size == 0) return fmt::format("{}{}", bytes / size, unit.name);
  }
  return fmt::format("{}B", bytes);
}

}  // namespace plugind::config
