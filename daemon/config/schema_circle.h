// What would keep a check of settings from ending: subschemas that look at the same value and lead
// back to themselves, or on and on, which would overflow the stack.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "daemon/config/schema_node.h"

namespace plugind::config::schema {

struct Circle {
  NodeId at;
  std::string why;  // "goes in a circle without an end"
};

// The first one. Takes time in proportion to the nodes and what they name; does not recurse.
std::optional<Circle> FindCircle(const std::vector<Node>& nodes);

}  // namespace plugind::config::schema
