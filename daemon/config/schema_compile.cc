// JSON text to Nodes. Without recursion, so that no schema can overflow the stack.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <utility>

#include "daemon/config/schema_circle.h"
#include "daemon/config/schema_node.h"
#include "daemon/config/schema_pointer.h"
#include "daemon/config/value.h"

namespace plugind::config {
namespace schema {
namespace {

// In instructions, over all patterns.
constexpr size_t kMaxPatternSize = 32 * 1024;
// Some 10 MiB.
constexpr size_t kMaxNodes = 16 * 1024;

struct Refused {
  NodeId at;
  std::string why;
};

class Compiler {
 public:
  explicit Compiler(Schema::Compiled& out) : out_(out) {}

  void Run() {
    if (!out_.document.is_object()) Refuse(kNone, "must be an object");
    NodeAt(&out_.document, kNone, "");
    for (bool more = true; more;) {
      while (compiled_ < out_.nodes.size()) {
        CompileNode(static_cast<NodeId>(compiled_));
        ++compiled_;
      }
      more = !references_.empty();
      for (const auto& [from, text] : std::exchange(references_, {})) {
        // References within the same document only; a target may be a subschema not yet seen.
        const NodeId target = Resolve(from, text);
        out_.nodes[from].ref = target;
      }
    }
    if (auto circle = FindCircle(out_.nodes)) Refuse(circle->at, std::move(circle->why));
  }

 private:
  using Parse = void (Compiler::*)(NodeId, const Json&, std::string_view);

  [[noreturn]] void Refuse(NodeId at, std::string why) const { throw Refused{at, std::move(why)}; }
  Node& At(NodeId id) { return out_.nodes[id]; }

  // The node of the subschema `json`, which is compiled in its turn.
  NodeId NodeAt(const Json* json, NodeId parent, std::string_view keyword, std::string key = "") {
    const auto [found, added] = ids_.emplace(json, static_cast<NodeId>(out_.nodes.size()));
    if (added) {
      if (out_.nodes.size() >= kMaxNodes) {
        Refuse(parent, fmt::format("there are more than {} schemas in it", kMaxNodes));
      }
      sources_.push_back(json);
      auto& node = out_.nodes.emplace_back();
      node.parent = parent;
      node.keyword = keyword;
      node.key = std::move(key);
    }
    return found->second;
  }

  void CompileNode(NodeId id);
  NodeId Resolve(NodeId from, std::string_view text);

  std::string Cut(std::string_view text) const { return Shown(text); }

  // What a keyword must have.
  void Must(bool holds, NodeId id, std::string_view keyword, std::string_view what) const {
    if (!holds) Refuse(id, fmt::format("\"{}\" must be {}", keyword, what));
  }
  uint64_t Count(NodeId id, const Json& value, std::string_view keyword) const {
    const bool whole = value.is_number() && value.get<double>() >= 0 &&
                       value.get<double>() < 9e15 &&
                       value.get<double>() == std::floor(value.get<double>());
    Must(whole, id, keyword, "a whole number that is not negative");
    return static_cast<uint64_t>(value.get<double>());
  }
  std::vector<NodeId> Several(NodeId id, const Json& value, std::string_view keyword) {
    Must(value.is_array() && !value.empty(), id, keyword, "a list of schemas that is not empty");
    std::vector<NodeId> all;
    for (size_t i = 0; i < value.size(); ++i)
      all.push_back(NodeAt(&value[i], id, keyword, std::to_string(i)));
    return all;
  }
  std::vector<std::string_view> Names(NodeId id, const Json& value,
                                      std::string_view keyword) const {
    Must(value.is_array(), id, keyword, "a list of strings");
    std::vector<std::string_view> all;
    std::set<std::string_view> seen;
    for (const auto& name : value) {
      Must(name.is_string(), id, keyword, "a list of strings");
      if (seen.insert(name.get_ref<const std::string&>()).second)
        all.push_back(name.get_ref<const std::string&>());
    }
    return all;
  }
  uint32_t AddPattern(NodeId id, std::string_view text, std::string_view keyword);

  void Types(NodeId id, const Json& value, std::string_view keyword);
  void Enum(NodeId id, const Json& value, std::string_view keyword);
  void Number(NodeId id, const Json& value, std::string_view keyword);
  void Text(NodeId id, const Json& value, std::string_view keyword);
  void List(NodeId id, const Json& value, std::string_view keyword);
  void Object(NodeId id, const Json& value, std::string_view keyword);
  void Combined(NodeId id, const Json& value, std::string_view keyword);
  void Identity(NodeId id, const Json& value, std::string_view keyword);
  void Later(NodeId id, const Json& value, std::string_view keyword);

  static const std::map<std::string_view, Parse>& Keywords();

  Schema::Compiled& out_;
  std::unordered_map<const Json*, NodeId> ids_;
  std::vector<const Json*> sources_;  // by NodeId
  size_t compiled_ = 0;
  std::vector<std::pair<NodeId, std::string_view>> references_;  // not yet resolved
  std::map<std::string_view, NodeId> anchors_;                   // "$id": "#name"
  std::string_view base_;                                        // the document's own $id
  size_t pattern_size_ = 0;
};

const std::map<std::string_view, Compiler::Parse>& Compiler::Keywords() {
  static const std::map<std::string_view, Parse> kAll = {
      {"type", &Compiler::Types},
      {"enum", &Compiler::Enum},
      {"const", &Compiler::Enum},
      {"minimum", &Compiler::Number},
      {"maximum", &Compiler::Number},
      {"exclusiveMinimum", &Compiler::Number},
      {"exclusiveMaximum", &Compiler::Number},
      {"multipleOf", &Compiler::Number},
      {"minLength", &Compiler::Text},
      {"maxLength", &Compiler::Text},
      {"pattern", &Compiler::Text},
      {"items", &Compiler::List},
      {"additionalItems", &Compiler::List},
      {"contains", &Compiler::List},
      {"minItems", &Compiler::List},
      {"maxItems", &Compiler::List},
      {"uniqueItems", &Compiler::List},
      {"properties", &Compiler::Object},
      {"patternProperties", &Compiler::Object},
      {"additionalProperties", &Compiler::Object},
      {"propertyNames", &Compiler::Object},
      {"required", &Compiler::Object},
      {"dependencies", &Compiler::Object},
      {"minProperties", &Compiler::Object},
      {"maxProperties", &Compiler::Object},
      {"definitions", &Compiler::Object},
      {"$defs", &Compiler::Object},
      {"allOf", &Compiler::Combined},
      {"anyOf", &Compiler::Combined},
      {"oneOf", &Compiler::Combined},
      {"not", &Compiler::Combined},
      {"if", &Compiler::Combined},
      {"then", &Compiler::Combined},
      {"else", &Compiler::Combined},
      {"$id", &Compiler::Identity},
      {"$schema", &Compiler::Identity},
      // Of later drafts. To overlook them would let through what the author means to forbid.
      {"prefixItems", &Compiler::Later},
      {"unevaluatedItems", &Compiler::Later},
      {"unevaluatedProperties", &Compiler::Later},
      {"dependentRequired", &Compiler::Later},
      {"dependentSchemas", &Compiler::Later},
      {"minContains", &Compiler::Later},
      {"maxContains", &Compiler::Later},
      {"$anchor", &Compiler::Later},
      {"$dynamicRef", &Compiler::Later},
      {"$recursiveRef", &Compiler::Later},
  };
  return kAll;
}

void Compiler::CompileNode(NodeId id) {
  const Json& json = *sources_[id];
  if (json.is_boolean()) {
    At(id).always = json.get<bool>();
    return;
  }
  if (!json.is_object()) Refuse(id, "a schema must be an object, true or false");
  if (const auto ref = json.find("$ref"); ref != json.end()) {
    Must(ref->is_string(), id, "$ref", "a string");
    references_.emplace_back(id, ref->get_ref<const std::string&>());
    // What stands beside a reference does not count, but may be referred to.
    for (const std::string_view keyword : {"definitions", "$defs", "$id", "$schema"}) {
      if (const auto it = json.find(keyword); it != json.end())
        (this->*Keywords().at(keyword))(id, *it, keyword);
    }
    return;
  }
  for (const auto& [key, value] : json.items()) {
    const auto keyword = Keywords().find(key);
    if (keyword != Keywords().end()) (this->*keyword->second)(id, value, keyword->first);
  }
}

void Compiler::Types(NodeId id, const Json& value, std::string_view keyword) {
  static const std::map<std::string_view, uint8_t> kWords = {
      {"null", kNull},     {"boolean", kBoolean}, {"integer", kInteger}, {"number", kNumber},
      {"string", kString}, {"array", kArray},     {"object", kObject}};
  const auto add = [&](const Json& word) {
    Must(word.is_string(), id, keyword, "a type's name or a list of them");
    const auto& text = word.get_ref<const std::string&>();
    const auto found = kWords.find(text);
    if (found == kWords.end()) Refuse(id, fmt::format("there is no type {}", Cut(text)));
    At(id).types = static_cast<uint8_t>(At(id).types | found->second);
  };
  if (value.is_array()) {
    Must(!value.empty(), id, keyword, "a type's name or a list of them");
    for (const auto& word : value) add(word);
  } else {
    add(value);
  }
}

void Compiler::Enum(NodeId id, const Json& value, std::string_view keyword) {
  if (keyword == "const") {
    At(id).constant = &value;
  } else {
    Must(value.is_array() && !value.empty(), id, keyword, "a list that is not empty");
    At(id).enumeration = &value;
  }
  At(id).choice_weight += Weight(value);
}

void Compiler::Number(NodeId id, const Json& value, std::string_view keyword) {
  Must(value.is_number(), id, keyword, "a number");
  if (keyword == "minimum") At(id).minimum = &value;
  if (keyword == "maximum") At(id).maximum = &value;
  if (keyword == "exclusiveMinimum") At(id).above = &value;
  if (keyword == "exclusiveMaximum") At(id).below = &value;
  if (keyword == "multipleOf") {
    Must(value.get<double>() > 0, id, keyword, "a number above 0");
    At(id).multiple_of = &value;
  }
}

uint32_t Compiler::AddPattern(NodeId id, std::string_view text, std::string_view keyword) {
  std::string error;
  auto pattern = Pattern::Compile(text, &error);
  if (!pattern) Refuse(id, fmt::format("\"{}\" {}: {}", keyword, Cut(text), error));
  pattern_size_ += pattern->size();
  if (pattern_size_ > kMaxPatternSize) {
    Refuse(id, fmt::format("\"{}\" {}: all patterns together are too large", keyword, Cut(text)));
  }
  out_.patterns.push_back(*std::move(pattern));
  return static_cast<uint32_t>(out_.patterns.size() - 1);
}

void Compiler::Text(NodeId id, const Json& value, std::string_view keyword) {
  if (keyword == "minLength") At(id).length.min = Count(id, value, keyword);
  if (keyword == "maxLength") At(id).length.max = Count(id, value, keyword);
  if (keyword == "pattern") {
    Must(value.is_string(), id, keyword, "a string");
    At(id).pattern = AddPattern(id, value.get_ref<const std::string&>(), keyword);
  }
}

void Compiler::List(NodeId id, const Json& value, std::string_view keyword) {
  if (keyword == "minItems") At(id).count.min = Count(id, value, keyword);
  if (keyword == "maxItems") At(id).count.max = Count(id, value, keyword);
  if (keyword == "uniqueItems") {
    Must(value.is_boolean(), id, keyword, "true or false");
    At(id).unique = value.get<bool>();
  }
  if (keyword == "contains") {
    const NodeId contains = NodeAt(&value, id, keyword);
    At(id).contains = contains;
  }
  if (keyword == "items" && value.is_array()) {
    std::vector<NodeId> all;
    if (!value.empty()) all = Several(id, value, keyword);
    At(id).items_at = std::move(all);
  } else if (keyword == "items") {
    const NodeId items = NodeAt(&value, id, keyword);
    At(id).items = items;
  }
  // Counts only behind a list of `items`.
  if (keyword == "additionalItems") {
    const auto items = sources_[id]->find("items");
    const bool counts = items != sources_[id]->end() && items->is_array();
    const NodeId others = NodeAt(&value, id, keyword);
    if (counts) At(id).items = others;
  }
}

void Compiler::Object(NodeId id, const Json& value, std::string_view keyword) {
  if (keyword == "minProperties") At(id).keys.min = Count(id, value, keyword);
  if (keyword == "maxProperties") At(id).keys.max = Count(id, value, keyword);
  if (keyword == "required") At(id).required = Names(id, value, keyword);
  if (keyword == "additionalProperties" || keyword == "propertyNames") {
    const NodeId schema = NodeAt(&value, id, keyword);
    (keyword == "propertyNames" ? At(id).names : At(id).additional) = schema;
  }
  const bool is_map = keyword == "properties" || keyword == "patternProperties" ||
                      keyword == "definitions" || keyword == "$defs" || keyword == "dependencies";
  if (!is_map) return;
  Must(value.is_object(), id, keyword, "an object");
  for (const auto& [key, child] : value.items()) {
    if (keyword == "dependencies" && child.is_array()) {
      At(id).dependencies.push_back({key, Names(id, child, keyword), kNone});
      continue;
    }
    const NodeId schema = NodeAt(&child, id, keyword, key);
    if (keyword == "properties") {
      At(id).properties.emplace(key, schema);
    } else if (keyword == "patternProperties") {
      const uint32_t pattern = AddPattern(id, key, keyword);
      At(id).pattern_properties.emplace_back(pattern, schema);
    } else if (keyword == "dependencies") {
      At(id).dependencies.push_back({key, {}, schema});
    }
  }
}

void Compiler::Combined(NodeId id, const Json& value, std::string_view keyword) {
  if (keyword.ends_with("Of")) {
    auto all = Several(id, value, keyword);
    auto& node = At(id);
    (keyword == "allOf"   ? node.all_of
     : keyword == "anyOf" ? node.any_of
                          : node.one_of) = std::move(all);
    return;
  }
  const NodeId schema = NodeAt(&value, id, keyword);
  if (keyword == "not") At(id).negated = schema;
  if (keyword == "if") At(id).condition = schema;
  if (keyword == "then") At(id).consequence = schema;
  if (keyword == "else") At(id).alternative = schema;
}

void Compiler::Identity(NodeId id, const Json& value, std::string_view keyword) {
  Must(value.is_string(), id, keyword, "a string");
  const std::string_view text = value.get_ref<const std::string&>();
  if (keyword == "$schema") {
    const bool known = text.find("json-schema.org/draft-07/") != std::string_view::npos ||
                       text.find("json-schema.org/draft-06/") != std::string_view::npos;
    if (!known) Refuse(id, fmt::format("\"$schema\" is {}, but must be draft 7", Cut(text)));
  } else if (text.starts_with('#')) {
    anchors_.emplace(text, id);
  } else if (id == 0) {
    base_ = text.substr(0, text.find('#'));
  } else {
    Refuse(id,
           fmt::format("\"$id\" {}: a document within the document is not supported", Cut(text)));
  }
}

void Compiler::Later(NodeId id, const Json& /*value*/, std::string_view keyword) {
  Refuse(id, fmt::format("\"{}\" is of a later draft than draft 7", keyword));
}

NodeId Compiler::Resolve(NodeId from, std::string_view text) {
  const std::string_view whole = text;
  if (!base_.empty() && text.starts_with(base_)) text.remove_prefix(base_.size());
  if (!text.empty() && text[0] != '#') {
    Refuse(from, fmt::format("\"$ref\" {} leads out of the schema; only references that begin "
                             "with \"#\" are followed",
                             Cut(whole)));
  }
  if (const auto anchor = anchors_.find(text); anchor != anchors_.end()) return anchor->second;
  const auto nowhere = [&] { Refuse(from, fmt::format("\"$ref\" {} leads nowhere", Cut(whole))); };
  if (!text.empty()) text.remove_prefix(1);
  if (!text.empty() && text[0] != '/') nowhere();
  const Json* target = Follow(out_.document, text);
  if (target == nullptr) nowhere();
  return NodeAt(target, kNone, whole);
}

}  // namespace

}  // namespace schema

std::optional<Schema> Schema::Compile(std::string_view json_schema, std::string* error) {
  if (json_schema.size() > kMaxSchemaBytes) {
    *error =
        fmt::format("has {} bytes, at most {} are allowed", json_schema.size(), kMaxSchemaBytes);
    return std::nullopt;
  }
  if (schema::Nesting(json_schema) > schema::kMaxSchemaNesting) {
    *error = fmt::format("is nested deeper than {} levels", schema::kMaxSchemaNesting);
    return std::nullopt;
  }
  auto compiled = std::make_shared<Compiled>();
  try {
    compiled->document = nlohmann::json::parse(json_schema);
    schema::Compiler(*compiled).Run();
  } catch (const nlohmann::json::parse_error& broken) {
    const auto before = json_schema.substr(0, broken.byte > 0 ? broken.byte - 1 : 0);
    const auto line_start = before.rfind('\n') + 1;  // 0 when there is none
    *error = fmt::format("is not JSON: line {}, column {}",
                         std::count(before.begin(), before.end(), '\n') + 1,
                         before.size() - line_start + 1);
    return std::nullopt;
  } catch (const nlohmann::json::exception&) {
    *error = "is not JSON: a number is too large";
    return std::nullopt;
  } catch (const schema::Refused& refused) {
    *error = refused.at == schema::kNone
                 ? refused.why
                 : fmt::format("at {}: {}", compiled->Where(refused.at), refused.why);
    return std::nullopt;
  }
  return Schema(std::move(compiled));
}

}  // namespace plugind::config
