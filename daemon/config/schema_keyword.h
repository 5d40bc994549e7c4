// One keyword of a subschema that is being compiled, and its value as what draft 7 wants there.
// What is something else is thrown as Refused.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/config/schema_compile.h"
#include "daemon/config/schema_node.h"

namespace plugind::config::schema {

// Lives while its keyword is read. `word` outlives the schema.
class Keyword {
 public:
  Keyword(Compiler* compiler, NodeId id, std::string_view word, const Json& value)
      : compiler_(*compiler), id_(id), word_(word), value_(value) {}

  std::string_view word() const { return word_; }
  const Json& value() const { return value_; }
  NodeId id() const { return id_; }
  // What the keyword is one of; valid until the next Subschema.
  Node& node() const { return compiler_.At(id_); }
  Compiler& compiler() const { return compiler_; }

  [[noreturn]] void Refuse(std::string why) const;
  void Must(bool holds, std::string_view what) const;

  const Json& Number() const;
  uint64_t Count() const;
  const std::string& String() const;
  const Json& Object() const;
  // The strings of `list`, each once; it is the value or stands in it.
  std::vector<std::string_view> Names(const Json& list) const;
  NodeId Subschema() const;
  NodeId Subschema(const Json& json, std::string key) const;
  std::vector<NodeId> Subschemas() const;
  uint32_t Pattern(std::string_view text) const;

 private:
  Compiler& compiler_;
  const NodeId id_;
  const std::string_view word_;
  const Json& value_;
};

}  // namespace plugind::config::schema
