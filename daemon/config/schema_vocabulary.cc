#include "daemon/config/schema_vocabulary.h"

#include <fmt/format.h>

#include <map>
#include <utility>

#include "daemon/config/schema_keyword.h"
#include "daemon/config/value.h"

namespace plugind::config::schema {
namespace {

// Keywords whose value is a member of Node as it stands.
template <auto kMember>
void Number(const Keyword& keyword) {
  keyword.node().*kMember = &keyword.Number();
}
template <auto kMember>
void Least(const Keyword& keyword) {
  (keyword.node().*kMember).min = keyword.Count();
}
template <auto kMember>
void Most(const Keyword& keyword) {
  (keyword.node().*kMember).max = keyword.Count();
}
template <auto kMember>
void One(const Keyword& keyword) {
  const NodeId schema = keyword.Subschema();
  keyword.node().*kMember = schema;
}
template <auto kMember>
void Several(const Keyword& keyword) {
  auto all = keyword.Subschemas();
  keyword.node().*kMember = std::move(all);
}

void Types(const Keyword& keyword) {
  static const std::map<std::string_view, uint8_t> kWords = {
      {"null", kNull},     {"boolean", kBoolean}, {"integer", kInteger}, {"number", kNumber},
      {"string", kString}, {"array", kArray},     {"object", kObject}};
  constexpr std::string_view kWanted = "a type's name or a list of them";
  const auto add = [&](const Json& word) {
    keyword.Must(word.is_string(), kWanted);
    const auto& text = word.get_ref<const std::string&>();
    const auto found = kWords.find(text);
    if (found == kWords.end()) keyword.Refuse(fmt::format("there is no type {}", Shown(text)));
    auto& types = keyword.node().types;
    types = static_cast<uint8_t>(types | found->second);
  };
  if (!keyword.value().is_array()) return add(keyword.value());
  keyword.Must(!keyword.value().empty(), kWanted);
  for (const auto& word : keyword.value()) add(word);
}

void Constant(const Keyword& keyword) {
  keyword.node().constant = &keyword.value();
  keyword.node().choice_weight += Weight(keyword.value());
}

void Enumeration(const Keyword& keyword) {
  keyword.Must(keyword.value().is_array() && !keyword.value().empty(), "a list that is not empty");
  keyword.node().enumeration = &keyword.value();
  keyword.node().choice_weight += Weight(keyword.value());
}

void MultipleOf(const Keyword& keyword) {
  keyword.Must(keyword.Number().get<double>() > 0, "a number above 0");
  keyword.node().multiple_of = &keyword.value();
}

void TextPattern(const Keyword& keyword) {
  keyword.node().pattern = keyword.Pattern(keyword.String());
}

void Items(const Keyword& keyword) {
  if (!keyword.value().is_array()) return One<&Node::items>(keyword);
  if (!keyword.value().empty()) Several<&Node::items_at>(keyword);
}

// Counts only behind a list of `items`.
void AdditionalItems(const Keyword& keyword) {
  const NodeId others = keyword.Subschema();
  const Json& beside = keyword.compiler().Source(keyword.id());
  const auto items = beside.find("items");
  if (items != beside.end() && items->is_array()) keyword.node().items = others;
}

void Unique(const Keyword& keyword) {
  keyword.Must(keyword.value().is_boolean(), "true or false");
  keyword.node().unique = keyword.value().get<bool>();
}

void Required(const Keyword& keyword) { keyword.node().required = keyword.Names(keyword.value()); }

void Properties(const Keyword& keyword) {
  for (const auto& [key, child] : keyword.Object().items()) {
    const NodeId schema = keyword.Subschema(child, key);
    keyword.node().properties.emplace(key, schema);
  }
}

void PatternProperties(const Keyword& keyword) {
  for (const auto& [key, child] : keyword.Object().items()) {
    const NodeId schema = keyword.Subschema(child, key);
    const uint32_t pattern = keyword.Pattern(key);
    keyword.node().pattern_properties.emplace_back(pattern, schema);
  }
}

void Dependencies(const Keyword& keyword) {
  for (const auto& [key, child] : keyword.Object().items()) {
    Dependency dependency{key, {}, kNone};
    if (child.is_array()) {
      dependency.keys = keyword.Names(child);
    } else {
      dependency.schema = keyword.Subschema(child, key);
    }
    keyword.node().dependencies.push_back(std::move(dependency));
  }
}

// Compiled even when nothing refers to them: what is wrong in them is told too.
void Definitions(const Keyword& keyword) {
  for (const auto& [key, child] : keyword.Object().items()) keyword.Subschema(child, key);
}

void Draft(const Keyword& keyword) {
  const std::string& text = keyword.String();
  const bool known = text.find("json-schema.org/draft-07/") != std::string::npos ||
                     text.find("json-schema.org/draft-06/") != std::string::npos;
  if (!known) keyword.Refuse(fmt::format("\"$schema\" is {}, but must be draft 7", Shown(text)));
}

void Identity(const Keyword& keyword) {
  const std::string& text = keyword.String();
  auto& references = keyword.compiler().references();
  if (text.starts_with('#')) {
    references.AddAnchor(text, keyword.compiler().Source(keyword.id()));
  } else if (keyword.id() == 0) {
    references.SetBase(text);
  } else {
    keyword.Refuse(
        fmt::format("\"$id\" {}: a document within the document is not supported", Shown(text)));
  }
}

void Later(const Keyword& keyword) {
  keyword.Refuse(fmt::format("\"{}\" is of a later draft than draft 7", keyword.word()));
}

using Read = void (*)(const Keyword&);

const std::map<std::string_view, Read>& Vocabulary() {
  static const std::map<std::string_view, Read> kAll = {
      {"type", Types},
      {"enum", Enumeration},
      {"const", Constant},
      {"minimum", Number<&Node::minimum>},
      {"maximum", Number<&Node::maximum>},
      {"exclusiveMinimum", Number<&Node::above>},
      {"exclusiveMaximum", Number<&Node::below>},
      {"multipleOf", MultipleOf},
      {"minLength", Least<&Node::length>},
      {"maxLength", Most<&Node::length>},
      {"pattern", TextPattern},
      {"items", Items},
      {"additionalItems", AdditionalItems},
      {"contains", One<&Node::contains>},
      {"minItems", Least<&Node::count>},
      {"maxItems", Most<&Node::count>},
      {"uniqueItems", Unique},
      {"properties", Properties},
      {"patternProperties", PatternProperties},
      {"additionalProperties", One<&Node::additional>},
      {"propertyNames", One<&Node::names>},
      {"required", Required},
      {"dependencies", Dependencies},
      {"minProperties", Least<&Node::keys>},
      {"maxProperties", Most<&Node::keys>},
      {"definitions", Definitions},
      {"$defs", Definitions},
      {"allOf", Several<&Node::all_of>},
      {"anyOf", Several<&Node::any_of>},
      {"oneOf", Several<&Node::one_of>},
      {"not", One<&Node::negated>},
      {"if", One<&Node::condition>},
      {"then", One<&Node::consequence>},
      {"else", One<&Node::alternative>},
      {"$id", Identity},
      {"$schema", Draft},
      // Of later drafts. To overlook them would let through what the author means to forbid.
      {"prefixItems", Later},
      {"unevaluatedItems", Later},
      {"unevaluatedProperties", Later},
      {"dependentRequired", Later},
      {"dependentSchemas", Later},
      {"minContains", Later},
      {"maxContains", Later},
      {"$anchor", Later},
      {"$dynamicRef", Later},
      {"$recursiveRef", Later},
  };
  return kAll;
}

}  // namespace

void ReadSubschema(NodeId id, Compiler* compiler) {
  const Json& json = compiler->Source(id);
  if (json.is_boolean()) {
    compiler->At(id).always = json.get<bool>();
    return;
  }
  if (!json.is_object()) throw Refused{id, "a schema must be an object, true or false"};
  if (const auto ref = json.find("$ref"); ref != json.end()) {
    compiler->Refer(id, Keyword(compiler, id, "$ref", *ref).String());
    // What stands beside a reference does not count, but may be referred to.
    for (const std::string_view word : {"definitions", "$defs", "$id", "$schema"}) {
      if (const auto it = json.find(word); it != json.end())
        Vocabulary().at(word)(Keyword(compiler, id, word, *it));
    }
    return;
  }
  for (const auto& [key, value] : json.items()) {
    const auto found = Vocabulary().find(key);
    if (found != Vocabulary().end()) found->second(Keyword(compiler, id, found->first, value));
  }
}

}  // namespace plugind::config::schema
