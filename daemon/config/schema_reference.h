// Where a "$ref" leads: into the schema's own document, by pointer or by an anchor in it. Other
// documents are never looked for.
#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace plugind::config::schema {

// Owned by a Compiler. Views and pointers lead into `document`, which outlives it.
class References {
 public:
  explicit References(const nlohmann::json& document) : document_(document) {}

  // The document's own "$id", which may stand before any "#".
  void SetBase(std::string_view id) { base_ = id.substr(0, id.find('#')); }
  // `subschema` has the "$id" `anchor`, which begins with '#'. The first of a name counts.
  void AddAnchor(std::string_view anchor, const nlohmann::json& subschema) {
    anchors_.emplace(anchor, &subschema);
  }

  // Null and *why, when it leads nowhere or out of the document. What it leads to may be anything.
  const nlohmann::json* Target(std::string_view ref, std::string* why) const;

 private:
  const nlohmann::json& document_;
  std::string_view base_;
  std::map<std::string_view, const nlohmann::json*> anchors_;
};

}  // namespace plugind::config::schema
