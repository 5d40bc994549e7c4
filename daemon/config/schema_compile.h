// A JSON document to the Nodes of the schema that it is. Without recursion, so that no schema can
// overflow the stack. What a keyword makes of its node is in schema_vocabulary.h.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "daemon/config/schema_node.h"
#include "daemon/config/schema_reference.h"

namespace plugind::config::schema {

// Thrown while compiling: `why` in one printable line, and where in the document; kNone: no place.
struct Refused {
  NodeId at;
  std::string why;
};

// Lives while Schema::Compile runs.
class Compiler {
 public:
  // Into out->nodes and out->patterns; out->document is there already and stays as it is.
  explicit Compiler(Schema::Compiled* out) : out_(*out), references_(out->document) {}

  // Throws Refused, as do all below.
  void Run();

  // Valid until the next NodeAt.
  Node& At(NodeId id) { return out_.nodes[id]; }
  const Json& Source(NodeId id) const { return *sources_[id]; }
  // The node of the subschema `json`, which is compiled in its turn. It stands under `keyword`,
  // whose text outlives the schema, of `parent`.
  NodeId NodeAt(const Json* json, NodeId parent, std::string_view keyword, std::string key = "");
  // An index in Compiled::patterns.
  uint32_t AddPattern(NodeId id, std::string_view text, std::string_view keyword);
  // Resolved when all that is known has been compiled: a target may be a subschema not yet seen.
  void Refer(NodeId from, std::string_view ref) { unresolved_.emplace_back(from, ref); }
  References& references() { return references_; }

 private:
  Schema::Compiled& out_;
  std::unordered_map<const Json*, NodeId> ids_;
  std::vector<const Json*> sources_;  // by NodeId
  size_t compiled_ = 0;
  std::vector<std::pair<NodeId, std::string_view>> unresolved_;
  References references_;
  size_t pattern_size_ = 0;
};

}  // namespace plugind::config::schema
