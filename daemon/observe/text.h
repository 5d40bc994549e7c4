// Foreign bytes made fit to be shown: valid UTF-8 in which nothing can end a line, move a cursor or
// turn the direction of writing, so that what a plugin prints can never pass for another line,
// level or source. Pure functions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace plugind::observe {

inline constexpr std::string_view kReplacementCharacter = "\xEF\xBF\xBD";  // U+FFFD

struct CodePoint {
  char32_t value = 0;
  size_t size = 0;     // bytes it takes; of an invalid sequence, those to be replaced as one
  bool valid = false;  // no overlong form, no surrogate, nothing beyond U+10FFFF
};
// The first code point of `text`, which is not empty.
CodePoint DecodeUtf8(std::string_view text);

// Whether a terminal or a viewer might act on it instead of showing it: C0 (tab too), DEL, C1,
// U+2028 and U+2029, and what controls the direction of writing.
bool IsControl(char32_t c);

// Invalid UTF-8 becomes U+FFFD; controls other than tab become \n, \r, \x1b, \u2028. At most four
// times as long.
std::string Sanitized(std::string_view text);
// Invalid UTF-8 alone is replaced.
std::string ValidUtf8(std::string_view text);

// `text` as a JSON string with its quotes, in which controls are escaped and invalid UTF-8 is
// replaced.
void AppendJsonString(std::string& out, std::string_view text);

// The longest prefix of at most `limit` bytes that does not end within a code point.
size_t Utf8Prefix(std::string_view text, size_t limit);

}  // namespace plugind::observe
