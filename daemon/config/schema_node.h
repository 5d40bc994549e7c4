// A JSON Schema as it is evaluated: every subschema is a Node, and they name each other by number.
// Made by schema_compile.cc, walked by schema_check.cc.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "daemon/config/schema.h"
#include "daemon/config/schema_pattern.h"

namespace plugind::config::schema {

using Json = nlohmann::json;
using NodeId = uint32_t;
inline constexpr NodeId kNone = UINT32_MAX;

// Subschemas that look at the same value, one inside the other; with the nesting of settings it
// bounds the stack.
inline constexpr size_t kMaxInPlace = 32;
inline constexpr size_t kMaxSchemaNesting = 64;

// Bits of Node::types.
enum Type : uint8_t {
  kNull = 1,
  kBoolean = 2,
  kInteger = 4,
  kNumber = 8,
  kString = 16,
  kArray = 32,
  kObject = 64,
};

struct Bounds {
  std::optional<uint64_t> min, max;
};

struct Dependency {
  std::string_view key;
  std::vector<std::string_view> keys;  // needed too, unless `schema`
  NodeId schema = kNone;
};

// Views and pointers lead into Compiled::document.
struct Node {
  std::optional<bool> always;  // the schemas `true` and `false`
  NodeId ref = kNone;          // then nothing else counts (draft 7)

  uint8_t types = 0;  // 0: any
  const Json* enumeration = nullptr;
  const Json* constant = nullptr;
  size_t choice_weight = 0;  // of what is compared for these two

  const Json* minimum = nullptr;
  const Json* maximum = nullptr;
  const Json* above = nullptr;  // exclusiveMinimum
  const Json* below = nullptr;  // exclusiveMaximum
  const Json* multiple_of = nullptr;

  Bounds length;
  uint32_t pattern = kNone;  // of Compiled::patterns

  Bounds count;                  // items
  std::vector<NodeId> items_at;  // `items` as a list
  NodeId items = kNone;          // of those behind the list
  NodeId contains = kNone;
  bool unique = false;

  Bounds keys;
  std::vector<std::string_view> required;
  std::unordered_map<std::string_view, NodeId> properties;
  std::vector<std::pair<uint32_t, NodeId>> pattern_properties;
  NodeId additional = kNone;
  NodeId names = kNone;
  std::vector<Dependency> dependencies;

  std::vector<NodeId> all_of, any_of, one_of;
  NodeId negated = kNone, condition = kNone, consequence = kNone, alternative = kNone;

  // Where it stands in the document: under `keyword` of `parent`, at `key` of that unless empty.
  NodeId parent = kNone;
  std::string_view keyword;
  std::string key;
};

// Nesting of brackets in a JSON text, in or out of order.
size_t Nesting(std::string_view json);
// About how many words a comparison with `value` reads.
size_t Weight(const Json& value);

}  // namespace plugind::config::schema

namespace plugind::config {

struct Schema::Compiled {
  nlohmann::json document;
  std::vector<schema::Node> nodes;  // the whole document is the first
  std::vector<Pattern> patterns;

  // "#/properties/port", shortened to what a message can carry.
  std::string Where(schema::NodeId id) const;
};

}  // namespace plugind::config
