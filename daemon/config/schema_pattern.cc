#include "daemon/config/schema_pattern.h"

#include <fmt/format.h>
#include <re2/re2.h>

#include <algorithm>
#include <utility>

#include "daemon/config/value.h"

namespace plugind::config {
namespace {

constexpr size_t kMaxPatternBytes = 4096;
// Two thirds for the program (some 5,000 instructions), the rest for what matching remembers.
constexpr int64_t kMaxPatternMemory = 512 * 1024;

bool IsHex(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

// RE2 has all of ECMA's syntax that it can match in linear time, but writes \u00e9 as \x{00e9}.
std::string ToRe2(std::string_view text) {
  constexpr size_t kDigits = 4;
  std::string translated;
  for (size_t i = 0; i < text.size(); ++i) {
    translated += text[i];
    if (text[i] != '\\' || i + 1 == text.size()) continue;
    const std::string_view digits = text.substr(std::min(i + 2, text.size()), kDigits);
    if (text[i + 1] == 'u' && digits.size() == kDigits &&
        std::all_of(digits.begin(), digits.end(), IsHex)) {
      translated += fmt::format("x{{{}}}", digits);
      i += 1 + kDigits;
    } else {
      translated += text[++i];
    }
  }
  return translated;
}

// What RE2 says ends with the part of the pattern that it is about, as it stands there.
std::string Complaint(const re2::RE2& pattern) {
  std::string_view says = pattern.error();
  const std::string_view part = pattern.error_arg();
  if (part.empty() || !says.ends_with(part)) return std::string(says);
  says.remove_suffix(part.size());
  return fmt::format("{}{}", says, Shown(part));
}

}  // namespace

std::optional<Pattern> Pattern::Compile(std::string_view text, std::string* error) {
  if (text.size() > kMaxPatternBytes) {
    *error =
        fmt::format("a pattern has at most {} bytes, this one {}", kMaxPatternBytes, text.size());
    return std::nullopt;
  }
  re2::RE2::Options options;
  options.set_max_mem(kMaxPatternMemory);
  options.set_log_errors(false);
  options.set_never_capture(true);
  auto compiled = std::make_unique<re2::RE2>(ToRe2(text), options);
  if (!compiled->ok()) {
    *error = fmt::format(
        "{} (patterns are matched in linear time: without look-around, "
        "back-references and great repetitions)",
        Complaint(*compiled));
    return std::nullopt;
  }
  return Pattern(std::string(text), std::move(compiled));
}

Pattern::Pattern(std::string text, std::unique_ptr<re2::RE2> compiled)
    : text_(std::move(text)),
      compiled_(std::move(compiled)),
      size_(static_cast<size_t>(std::max(compiled_->ProgramSize(), 1))) {}
Pattern::Pattern(Pattern&&) noexcept = default;
Pattern& Pattern::operator=(Pattern&&) noexcept = default;
Pattern::~Pattern() = default;

bool Pattern::Matches(std::string_view text) const {
  return re2::RE2::PartialMatch(re2::StringPiece(text.data(), text.size()), *compiled_);
}

}  // namespace plugind::config
