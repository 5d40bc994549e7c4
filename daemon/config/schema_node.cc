#include "daemon/config/schema_node.h"

#include <fmt/format.h>

#include <algorithm>

#include "daemon/config/value.h"

namespace plugind::config {
namespace schema {

size_t Nesting(std::string_view json) {
  size_t depth = 0;
  size_t deepest = 0;
  bool in_string = false;
  for (size_t i = 0; i < json.size(); ++i) {
    const char c = json[i];
    if (in_string) {
      if (c == '\\') ++i;
      if (c == '"') in_string = false;
    } else if (c == '"') {
      in_string = true;
    } else if (c == '{' || c == '[') {
      deepest = std::max(deepest, ++depth);
    } else if ((c == '}' || c == ']') && depth > 0) {
      --depth;
    }
  }
  return deepest;
}

size_t Weight(const Json& value) {  // NOLINT(misc-no-recursion): as deep as Nesting allowed
  constexpr size_t kBytesAtOnce = 32;
  size_t weight = 1;
  if (value.is_string()) weight += value.get_ref<const std::string&>().size() / kBytesAtOnce;
  if (value.is_array()) {
    for (const auto& child : value) weight += Weight(child);
  }
  if (value.is_object()) {
    for (const auto& [key, child] : value.items())
      weight += Weight(child) + key.size() / kBytesAtOnce;
  }
  return weight;
}

}  // namespace schema

std::string Schema::Compiled::Where(schema::NodeId id) const {
  constexpr size_t kMaxParts = 12;
  std::vector<std::string> parts;
  for (; id != schema::kNone && parts.size() < kMaxParts; id = nodes[id].parent) {
    const auto& node = nodes[id];
    if (node.keyword.starts_with('#')) {  // reached by reference alone
      parts.emplace_back(node.keyword.substr(std::min<size_t>(node.keyword.size(), 2)));
      break;
    }
    if (!node.key.empty()) parts.push_back(node.key);
    if (!node.keyword.empty()) parts.emplace_back(node.keyword);
  }
  std::reverse(parts.begin(), parts.end());
  return Shown(fmt::format("#{}{}", parts.empty() ? "" : "/", fmt::join(parts, "/")));
}

}  // namespace plugind::config
