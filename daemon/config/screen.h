// What a file must be before a TOML parser sees it: bounded, UTF-8, and nested no deeper than a
// stack can bear. toml++ 3.3 bounds the depth of arrays but not that of dotted keys, and crashes on
// a file of nothing but "a.a.a.…".
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "daemon/config/value.h"

namespace plugind::config {

inline constexpr size_t kMaxFileBytes = 1024 * 1024;
inline constexpr int kMaxBrackets = 32;  // arrays and inline tables within each other
inline constexpr int kMaxKeyParts = 16;  // of one dotted key or table header

struct Objection {
  Position at;
  std::string message;
};

// The first thing that makes `text` unfit, if anything does.
std::optional<Objection> Screen(std::string_view text);

}  // namespace plugind::config
