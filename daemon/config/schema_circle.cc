#include "daemon/config/schema_circle.h"

#include <fmt/format.h>

#include <algorithm>

namespace plugind::config::schema {
namespace {

// The subschemas that look at the same value as `node` does.
std::vector<NodeId> InPlace(const Node& node) {
  std::vector<NodeId> all = node.all_of;
  all.insert(all.end(), node.any_of.begin(), node.any_of.end());
  all.insert(all.end(), node.one_of.begin(), node.one_of.end());
  for (const auto& dependency : node.dependencies) all.push_back(dependency.schema);
  for (const NodeId one :
       {node.ref, node.negated, node.condition, node.consequence, node.alternative}) {
    all.push_back(one);
  }
  std::erase(all, kNone);
  return all;
}

}  // namespace

std::optional<Circle> FindCircle(const std::vector<Node>& nodes) {
  constexpr size_t kUnseen = 0;
  constexpr size_t kOpen = SIZE_MAX;
  std::vector<size_t> height(nodes.size(), kUnseen);
  struct Visit {
    NodeId id;
    std::vector<NodeId> next;
  };
  for (NodeId start = 0; start < nodes.size(); ++start) {
    if (height[start] != kUnseen) continue;
    std::vector<Visit> open;
    const auto enter = [&](NodeId id) {
      height[id] = kOpen;
      open.push_back({id, InPlace(nodes[id])});
    };
    enter(start);
    while (!open.empty()) {
      auto& visit = open.back();
      if (!visit.next.empty()) {
        const NodeId next = visit.next.back();
        if (height[next] == kOpen) return Circle{visit.id, "goes in a circle without an end"};
        if (height[next] == kUnseen) {
          enter(next);
        } else {
          visit.next.pop_back();
        }
        continue;
      }
      size_t highest = 0;
      for (const NodeId below : InPlace(nodes[visit.id]))
        highest = std::max(highest, height[below]);
      height[visit.id] = highest + 1;
      if (highest >= kMaxInPlace) {
        return Circle{visit.id, fmt::format("goes through more than {} references and alternatives",
                                            kMaxInPlace)};
      }
      open.pop_back();
    }
  }
  return std::nullopt;
}

}  // namespace plugind::config::schema
