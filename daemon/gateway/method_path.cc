#include "daemon/gateway/method_path.h"

#include <cstddef>

namespace plugind::gateway {
namespace {

constexpr size_t kMaxPath = 512;

// Not isalnum: the locale must have no say. Names that begin with a digit or hold '-' are not
// Protocol Buffers', but some generators of other schemas make them.
bool IsNameCharacter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
         c == '-';
}

bool IsName(std::string_view name, bool dots) {
  bool after_name = false;
  for (const char c : name) {
    if (IsNameCharacter(c)) {
      after_name = true;
    } else if (dots && c == '.' && after_name) {
      after_name = false;
    } else {
      return false;
    }
  }
  return after_name;
}

}  // namespace

std::optional<MethodPath> ParseMethodPath(std::string_view path) {
  if (path.size() > kMaxPath || !path.starts_with('/')) return std::nullopt;
  const size_t slash = path.find('/', 1);
  if (slash == std::string_view::npos) return std::nullopt;
  const MethodPath parsed{path.substr(1, slash - 1), path.substr(slash + 1)};
  if (!IsName(parsed.service, true) || !IsName(parsed.method, false)) return std::nullopt;
  return parsed;
}

}  // namespace plugind::gateway
