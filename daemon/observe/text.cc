#include "daemon/observe/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

namespace plugind::observe {
namespace {

// Bytes that stand for themselves wherever they are: nearly all that is ever logged.
bool IsPlain(char c) { return c >= 0x20 && c < 0x7f; }

size_t PlainPrefix(std::string_view text) {
  return static_cast<size_t>(std::find_if_not(text.begin(), text.end(), IsPlain) - text.begin());
}

// Two digits behind \x, four behind \u.
void AppendEscape(std::string& out, std::string_view prefix, char32_t c) {
  const int digits = prefix == "\\x" ? 2 : 4;
  fmt::format_to(std::back_inserter(out), "{}{:0{}x}", prefix, static_cast<uint32_t>(c), digits);
}

// Calls `rest` for each code point that is not plain, and copies what is.
template <typename Rest>
void ForEachCodePoint(std::string& out, std::string_view text, Rest rest) {
  while (!text.empty()) {
    const size_t plain = PlainPrefix(text);
    out.append(text.substr(0, plain));
    text.remove_prefix(plain);
    if (text.empty()) return;
    const CodePoint c = DecodeUtf8(text);
    rest(c, text.substr(0, c.size));
    text.remove_prefix(c.size);
  }
}

}  // namespace

CodePoint DecodeUtf8(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(text[i]); };
  const uint8_t lead = byte(0);
  if (lead < 0x80) return {lead, 1, true};
  // The bounds of the second byte rule out overlong forms, surrogates and what lies beyond U+10FFFF
  // (Unicode, table 3-7).
  uint8_t low = 0x80;
  uint8_t high = 0xBF;
  size_t size = 0;
  char32_t value = 0;
  if (lead >= 0xC2 && lead <= 0xDF) {
    size = 2;
    value = lead & 0x1FU;
  } else if (lead >= 0xE0 && lead <= 0xEF) {
    size = 3;
    value = lead & 0x0FU;
    if (lead == 0xE0) low = 0xA0;
    if (lead == 0xED) high = 0x9F;
  } else if (lead >= 0xF0 && lead <= 0xF4) {
    size = 4;
    value = lead & 0x07U;
    if (lead == 0xF0) low = 0x90;
    if (lead == 0xF4) high = 0x8F;
  } else {
    return {0xFFFD, 1, false};
  }
  for (size_t i = 1; i < size; ++i) {
    if (i == text.size() || byte(i) < low || byte(i) > high) return {0xFFFD, i, false};
    value = value << 6U | (byte(i) & 0x3FU);
    low = 0x80;
    high = 0xBF;
  }
  return {value, size, true};
}

bool IsControl(char32_t c) {
  return c < 0x20 || (c >= 0x7F && c <= 0x9F) || c == 0x061C || c == 0x200E || c == 0x200F ||
         (c >= 0x2028 && c <= 0x202E) || (c >= 0x2066 && c <= 0x2069);
}

std::string Sanitized(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  ForEachCodePoint(out, text, [&](CodePoint c, std::string_view bytes) {
    if (!c.valid) {
      out.append(kReplacementCharacter);
    } else if (c.value == '\t' || !IsControl(c.value)) {
      out.append(bytes);
    } else if (c.value == '\n') {
      out.append("\\n");
    } else if (c.value == '\r') {
      out.append("\\r");
    } else {
      AppendEscape(out, c.value < 0x80 ? "\\x" : "\\u", c.value);
    }
  });
  return out;
}

std::string ValidUtf8(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  ForEachCodePoint(out, text, [&](CodePoint c, std::string_view bytes) {
    out.append(c.valid ? bytes : kReplacementCharacter);
  });
  return out;
}

void AppendJsonString(std::string& out, std::string_view text) {
  out.push_back('"');
  const auto append_code_point = [&](CodePoint c, std::string_view bytes) {
    if (!c.valid) {
      out.append(kReplacementCharacter);
    } else if (c.value == '\n') {
      out.append("\\n");
    } else if (c.value == '\t') {
      out.append("\\t");
    } else if (IsControl(c.value)) {
      AppendEscape(out, "\\u", c.value);
    } else {
      out.append(bytes);
    }
  };
  // Quotes and backslashes are plain elsewhere, so cut there first.
  while (!text.empty()) {
    const size_t cut = std::min(text.find_first_of("\"\\"), text.size());
    ForEachCodePoint(out, text.substr(0, cut), append_code_point);
    text.remove_prefix(cut);
    if (text.empty()) break;
    out.push_back('\\');
    out.push_back(text.front());
    text.remove_prefix(1);
  }
  out.push_back('"');
}

size_t Utf8Prefix(std::string_view text, size_t limit) {
  if (text.size() <= limit) return text.size();
  // A code point takes four bytes at most: where the cut falls into one, its lead is among the
  // three bytes before.
  for (size_t at = limit; at > 0 && limit - at < 4; --at) {
    if ((static_cast<uint8_t>(text[at]) & 0xC0U) != 0x80) return at;
  }
  return limit;
}

}  // namespace plugind::observe
