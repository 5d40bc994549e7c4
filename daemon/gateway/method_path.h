// The path of a gRPC call in the one form that is let through, "/pkg.Service/Method": policy must
// decide about exactly what the plugin will see.
#pragma once

#include <optional>
#include <string_view>

namespace plugind::gateway {

struct MethodPath {
  std::string_view service;  // "pkg.Service"
  std::string_view method;   // "Method"
};

// Into `path`. Nothing unless it is canonical: two parts, each of letters, digits, '_' and, in the
// service, single dots between names; ≤ 512 bytes. So no "..", "//", '%', '?' or '#' gets through.
std::optional<MethodPath> ParseMethodPath(std::string_view path);

}  // namespace plugind::gateway
