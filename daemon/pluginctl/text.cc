#include "daemon/pluginctl/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <ctime>
#include <iterator>
#include <span>

namespace plugind::pluginctl {
namespace {

struct Range {
  char32_t first, last;
};

// Marks that are drawn on the character before them, and joiners.
constexpr Range kZeroWidth[] = {
    {0x0300, 0x036F}, {0x0483, 0x0489}, {0x0591, 0x05BD}, {0x0610, 0x061A}, {0x064B, 0x065F},
    {0x1AB0, 0x1AFF}, {0x1DC0, 0x1DFF}, {0x20D0, 0x20FF}, {0xFE00, 0xFE0F}, {0xFE20, 0xFE2F}};
constexpr Range kDoubleWidth[] = {
    {0x1100, 0x115F},   {0x2E80, 0x303E},   {0x3041, 0xA4CF},  {0xA960, 0xA97F}, {0xAC00, 0xD7A3},
    {0xF900, 0xFAFF},   {0xFE30, 0xFE6F},   {0xFF00, 0xFF60},  {0xFFE0, 0xFFE6}, {0x1F300, 0x1F64F},
    {0x1F680, 0x1F6FF}, {0x1F900, 0x1FAFF}, {0x20000, 0x3FFFD}};
// They are not seen but change what is: zero-width spaces, bidirectional overrides, the byte order
// mark.
constexpr Range kInvisible[] = {{0x00AD, 0x00AD}, {0x061C, 0x061C},  {0x200B, 0x200F},
                                {0x2028, 0x202E}, {0x2060, 0x206F},  {0xFEFF, 0xFEFF},
                                {0xFFF9, 0xFFFB}, {0xE0000, 0xE007F}};

bool In(char32_t code, std::span<const Range> ranges) {
  return std::ranges::any_of(ranges, [code](Range r) { return r.first <= code && code <= r.last; });
}

constexpr char32_t kInvalid = 0xFFFFFFFF;

struct Character {
  char32_t code;
  size_t bytes;  // 1 when invalid
};

// The first character of `text`, which is not empty.
Character Decode(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned lead = byte(0);
  if (lead < 0x80) return {lead, 1};
  const size_t length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  constexpr char32_t kSmallest[] = {0, 0, 0x80, 0x800, 0x10000};
  if (lead < 0xC2 || lead > 0xF4 || text.size() < length) return {kInvalid, 1};
  char32_t code = lead & (0xFFu >> (length + 1));
  for (size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return {kInvalid, 1};
    code = code << 6 | (byte(i) & 0x3Fu);
  }
  const bool surrogate = code >= 0xD800 && code <= 0xDFFF;
  if (code < kSmallest[length] || code > 0x10FFFF || surrogate) return {kInvalid, 1};
  return {code, length};
}

size_t Columns(char32_t code) {
  if (In(code, kZeroWidth)) return 0;
  return In(code, kDoubleWidth) ? 2 : 1;
}

std::string FormatLocal(const google::protobuf::Timestamp& time, const char* format) {
  const std::time_t seconds = time.seconds();
  std::tm local{};
  if (localtime_r(&seconds, &local) == nullptr) return "-";
  std::array<char, 64> buffer{};
  const size_t length = std::strftime(buffer.data(), buffer.size(), format, &local);
  return {buffer.data(), length};
}

}  // namespace

std::string Printable(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const auto [code, bytes] = Decode(text);
    if (code == '\t') {
      out += ' ';
    } else if (code == kInvalid) {
      fmt::format_to(std::back_inserter(out), "\\x{:02x}", static_cast<unsigned char>(text[0]));
    } else if (code < 0x20 || (code >= 0x7F && code < 0xA0)) {
      fmt::format_to(std::back_inserter(out), "\\x{:02x}", static_cast<uint32_t>(code));
    } else if (In(code, kInvisible)) {
      fmt::format_to(std::back_inserter(out), "\\u{{{:04x}}}", static_cast<uint32_t>(code));
    } else {
      out += text.substr(0, bytes);
    }
    text.remove_prefix(bytes);
  }
  return out;
}

size_t Width(std::string_view text) {
  size_t columns = 0;
  while (!text.empty()) {
    const auto [code, bytes] = Decode(text);
    columns += Columns(code);
    text.remove_prefix(bytes);
  }
  return columns;
}

std::string Truncate(std::string_view text, size_t columns) {
  if (Width(text) <= columns) return std::string(text);
  if (columns == 0) return "";
  size_t used = 0, kept = 0;
  while (kept < text.size()) {
    const auto [code, bytes] = Decode(text.substr(kept));
    used += Columns(code);
    if (used > columns - 1) break;
    kept += bytes;
  }
  return std::string(text.substr(0, kept)) + "…";
}

std::vector<std::string> LastLines(std::string_view text, size_t count) {
  while (text.ends_with('\n')) text.remove_suffix(1);
  std::vector<std::string> lines;
  for (bool more = !text.empty(); more && lines.size() < count;) {
    const size_t newline = text.rfind('\n');
    more = newline != std::string_view::npos;
    std::string_view line = more ? text.substr(newline + 1) : text;
    if (line.ends_with('\r')) line.remove_suffix(1);
    lines.push_back(Printable(line));
    if (more) text = text.substr(0, newline);
  }
  std::ranges::reverse(lines);
  return lines;
}

std::string KeyValue(std::string_view key, std::string_view value) {
  const std::string shown = Printable(value);
  if (!shown.empty() && shown.find_first_of(" \"=") == std::string::npos) {
    return fmt::format("{}={}", Printable(key), shown);
  }
  std::string quoted;
  for (const char c : shown) {
    if (c == '"') quoted += '\\';
    quoted += c;
  }
  return fmt::format("{}=\"{}\"", Printable(key), quoted);
}

std::string FormatTime(const google::protobuf::Timestamp& time) {
  if (time.seconds() == 0) return "-";
  return fmt::format("{}.{:03}", FormatLocal(time, "%Y-%m-%d %H:%M:%S"), time.nanos() / 1'000'000);
}

std::string FormatTimeLong(const google::protobuf::Timestamp& time) {
  return time.seconds() == 0 ? "-" : FormatLocal(time, "%Y-%m-%d %H:%M:%S %Z");
}

std::chrono::nanoseconds Since(const google::protobuf::Timestamp& time) {
  return std::chrono::system_clock::now().time_since_epoch() -
         std::chrono::seconds(time.seconds()) - std::chrono::nanoseconds(time.nanos());
}

std::string FormatAge(std::chrono::nanoseconds age) {
  const int64_t seconds = std::max<int64_t>(age / std::chrono::seconds(1), 0);
  if (seconds < 60) return fmt::format("{}s", seconds);
  if (seconds < 3600) return fmt::format("{}m{:02}s", seconds / 60, seconds % 60);
  if (seconds < 86400) return fmt::format("{}h{:02}m", seconds / 3600, seconds / 60 % 60);
  return fmt::format("{}d{:02}h", seconds / 86400, seconds / 3600 % 24);
}

}  // namespace plugind::pluginctl
