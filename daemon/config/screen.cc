#include "daemon/config/screen.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>

namespace plugind::config {
namespace {

Position PositionOf(std::string_view text, size_t offset) {
  const auto before = text.substr(0, offset);
  const auto lines = std::count(before.begin(), before.end(), '\n');
  const auto line_start = before.rfind('\n');
  const auto column = line_start == std::string_view::npos ? offset + 1 : offset - line_start;
  return {static_cast<uint32_t>(lines) + 1, static_cast<uint32_t>(column)};
}

// The length of the UTF-8 sequence at the start of `text`; 0 when there is none (RFC 3629: no
// surrogates, no overlong forms, nothing above U+10FFFF).
size_t SequenceLength(std::string_view text) {
  const auto at = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const auto lead = at(0);
  if (lead < 0x80) return 1;
  const size_t length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  if (lead < 0xc2 || lead > 0xf4 || text.size() < length) return 0;
  for (size_t i = 1; i < length; ++i) {
    if ((at(i) & 0xc0) != 0x80) return 0;
  }
  if ((lead == 0xe0 && at(1) < 0xa0) || (lead == 0xed && at(1) > 0x9f) ||
      (lead == 0xf0 && at(1) < 0x90) || (lead == 0xf4 && at(1) > 0x8f)) {
    return 0;
  }
  return length;
}

std::optional<Objection> ScreenEncoding(std::string_view text) {
  if (text.starts_with("\xff\xfe") || text.starts_with("\xfe\xff")) {
    return Objection{{}, "the file is UTF-16; save it as UTF-8"};
  }
  if (text.starts_with("\xef\xbb\xbf")) {
    return Objection{{}, "the file begins with a byte order mark; save it as UTF-8 without one"};
  }
  for (size_t i = 0; i < text.size();) {
    if (text[i] == '\0') return Objection{PositionOf(text, i), "a NUL byte"};
    const size_t length = SequenceLength(text.substr(i));
    if (length == 0) {
      return Objection{PositionOf(text, i), fmt::format("invalid UTF-8 (byte 0x{:02x})",
                                                        static_cast<unsigned char>(text[i]))};
    }
    i += length;
  }
  return std::nullopt;
}

// Walks over `text` as TOML's lexer would, strings and comments skipped. On invalid TOML it may
// lose its way, but only behind the error at which the parser stops.
class NestingScan {
 public:
  explicit NestingScan(std::string_view text) : text_(text) {}

  std::optional<Objection> Run() {
    while (at_ < text_.size()) {
      const char c = text_[at_];
      switch (c) {
        case '"':
        case '\'':
          SkipString(c);
          continue;
        case '#':
          at_ = std::min(text_.find('\n', at_), text_.size());
          continue;
        case '[':
        case '{':
          key_parts_ = 1;
          if (++brackets_ > kMaxBrackets) {
            return Object(fmt::format("nested more than {} deep", kMaxBrackets));
          }
          break;
        case ']':
        case '}':
          brackets_ = std::max(0, brackets_ - 1);
          key_parts_ = 1;
          break;
        case '\n':
        case ',':
        case '=':
          key_parts_ = 1;
          break;
        case '.':
          if (++key_parts_ > kMaxKeyParts) {
            return Object(fmt::format("a dotted key of more than {} parts", kMaxKeyParts));
          }
          break;
        default:
          break;
      }
      ++at_;
    }
    return std::nullopt;
  }

 private:
  Objection Object(std::string message) const {
    return {PositionOf(text_, at_), std::move(message)};
  }

  void SkipString(char quote) {
    const std::string delimiter(3, quote);
    const bool multi_line = text_.substr(at_).starts_with(delimiter);
    at_ += multi_line ? 3 : 1;
    while (at_ < text_.size()) {
      const char c = text_[at_];
      if (c == '\\' && quote == '"') {
        at_ = std::min(at_ + 2, text_.size());
      } else if (multi_line && text_.substr(at_).starts_with(delimiter)) {
        at_ += 3;
        // Up to two quotes may stand before the closing three.
        while (at_ < text_.size() && text_[at_] == quote) ++at_;
        return;
      } else if (!multi_line && (c == quote || c == '\n')) {
        at_ += c == quote ? 1 : 0;
        return;
      } else {
        ++at_;
      }
    }
  }

  std::string_view text_;
  size_t at_ = 0;
  int brackets_ = 0;
  int key_parts_ = 1;
};

}  // namespace

std::optional<Objection> Screen(std::string_view text) {
  if (text.size() > kMaxFileBytes) {
    return Objection{{}, fmt::format("the file is larger than {} bytes", kMaxFileBytes)};
  }
  if (auto objection = ScreenEncoding(text)) return objection;
  return NestingScan(text).Run();
}

}  // namespace plugind::config
