// One `pattern` of a JSON Schema: a regular expression of ECMA 262, matched anywhere in a text in
// time linear in the text's length. What cannot be matched so (look-around, back-references) does
// not compile.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace re2 {
class RE2;
}

namespace plugind::config {

class Pattern {
 public:
  // Null and *error when it does not compile.
  static std::optional<Pattern> Compile(std::string_view text, std::string* error);
  Pattern(Pattern&&) noexcept;
  Pattern& operator=(Pattern&&) noexcept;
  ~Pattern();

  bool Matches(std::string_view text) const;
  const std::string& text() const { return text_; }
  // Instructions; memory and the time for each byte are at most proportional to it.
  size_t size() const { return size_; }

 private:
  Pattern(std::string text, std::unique_ptr<re2::RE2> compiled);
  std::string text_;
  std::unique_ptr<re2::RE2> compiled_;
  size_t size_;
};

}  // namespace plugind::config
