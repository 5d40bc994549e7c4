// Walks a JSON value and a schema's Nodes together. The stack is bounded by the nesting of settings
// times kMaxInPlace, the time by a budget of steps (schema_visit.h).
#include <fmt/format.h>

#include <utility>

#include "daemon/config/json.h"
#include "daemon/config/schema_alternatives.h"
#include "daemon/config/schema_node.h"
#include "daemon/config/schema_plain.h"
#include "daemon/config/schema_visit.h"
#include "daemon/config/schema_words.h"
#include "daemon/config/value.h"

namespace plugind::config {
namespace schema {
namespace {

// Each function is true when the value fits, and tells its visit what does not.
class Walk {
 public:
  explicit Walk(const Schema::Compiled& compiled) : compiled_(compiled) {}

  bool Fits(NodeId id, const Json& value, const Visit& visit) const;

 private:
  bool FitsList(const Node& node, const Json& value, const Visit& visit) const;
  bool FitsObject(const Node& node, const Json& value, const Visit& visit) const;
  bool FitsNeeds(const Node& node, const Json& value, const Visit& visit) const;
  bool FitsKey(const Node& node, const std::string& key, const Json& value,
               const Visit& visit) const;
  bool FitsCombined(const Node& node, const Json& value, const Visit& visit) const;
  bool FitsAny(const std::vector<NodeId>& alternatives, const Json& value,
               const Visit& visit) const;
  bool FitsOne(const std::vector<NodeId>& alternatives, const Json& value,
               const Visit& visit) const;

  const Schema::Compiled& compiled_;
};

// Always false; `visit` is to the key's value.
bool TellUnknown(const Node& node, const std::string& key, const Visit& visit) {
  std::vector<std::string> known;
  for (const auto& [name, schema] : node.properties) known.emplace_back(name);
  const std::string guess = visit.Spend(known.size()) ? Guess(key, std::move(known)) : "";
  return visit.Tell("unknown key" + guess, Fault::kOther, /*of_key=*/true);
}

// NOLINTBEGIN(misc-no-recursion): bounded, see the top
bool Walk::Fits(NodeId id, const Json& value, const Visit& visit) const {
  if (!visit.Spend(1)) return false;
  const Node& node = compiled_.nodes[id];
  if (node.ref != kNone) return Fits(node.ref, value, visit);
  if (node.always) return *node.always || (visit.telling() && visit.Tell("is not allowed"));
  if (!FitsKind(node, value, visit)) return false;
  bool fits = true;
  if (value.is_number()) fits = FitsNumber(node, value, visit);
  if (value.is_string()) {
    fits = FitsText(node, compiled_.patterns, value.get_ref<const std::string&>(), visit);
  }
  if (value.is_array()) fits = FitsList(node, value, visit);
  if (value.is_object()) fits = FitsObject(node, value, visit);
  if (visit.Settled(fits)) return false;
  return FitsCombined(node, value, visit) && fits;
}

bool Walk::FitsList(const Node& node, const Json& value, const Visit& visit) const {
  bool fits = FitsBounds(node.count, value.size(), "item", visit);
  if (node.unique) fits = FitsUnique(value, visit) && fits;
  bool contained = node.contains == kNone;
  for (size_t i = 0; i < value.size(); ++i) {
    if (visit.Settled(fits)) return false;
    const Visit inside = visit.Inside(i);
    const NodeId item = i < node.items_at.size() ? node.items_at[i] : node.items;
    if (item != kNone) fits = Fits(item, value[i], inside) && fits;
    contained = contained || Fits(node.contains, value[i], inside.Silent());
  }
  if (contained) return fits;
  return visit.telling() &&
         visit.Tell(fmt::format("has no item that fits {}", compiled_.Where(node.contains)));
}

bool Walk::FitsObject(const Node& node, const Json& value, const Visit& visit) const {
  bool fits = FitsBounds(node.keys, value.size(), "key", visit);
  fits = FitsNeeds(node, value, visit) && fits;
  const bool any_key = node.properties.empty() && node.pattern_properties.empty() &&
                       node.additional == kNone && node.names == kNone;
  if (any_key) return fits;
  for (const auto& [key, child] : value.items()) {
    if (visit.Settled(fits)) return false;
    fits = FitsKey(node, key, child, visit.Inside(key)) && fits;
  }
  return fits;
}

bool Walk::FitsNeeds(const Node& node, const Json& value, const Visit& visit) const {
  bool fits = true;
  const auto require = [&](std::string_view name, std::string reason) {
    const std::string key(name);
    if (value.contains(key)) return;
    fits = false;
    if (visit.telling()) visit.Inside(key).Tell(std::move(reason));
  };
  if (!visit.Spend(node.required.size() + node.dependencies.size())) return false;
  for (const auto key : node.required) require(key, "is missing");
  for (const auto& [key, keys, schema] : node.dependencies) {
    if (!value.contains(std::string(key))) continue;
    if (!visit.Spend(keys.size())) return false;
    for (const auto other : keys) require(other, fmt::format("is missing beside {}", Shown(key)));
    if (schema != kNone) fits = Fits(schema, value, visit) && fits;
  }
  return fits;
}

// `visit` is to the key's value.
bool Walk::FitsKey(const Node& node, const std::string& key, const Json& value,
                   const Visit& visit) const {
  if (!visit.Spend(1)) return false;
  bool fits = true;
  if (node.names != kNone) {
    Findings of_name;
    if (!Fits(node.names, Json(key), visit.TellingTo(visit.telling() ? &of_name : nullptr))) {
      fits = false;
      for (const auto& [fault, misfit] : of_name)
        visit.Tell("its name " + misfit.reason, fault, /*of_key=*/true);
    }
  }
  bool known = false;
  if (const auto property = node.properties.find(key); property != node.properties.end()) {
    known = true;
    fits = Fits(property->second, value, visit) && fits;
  }
  for (const auto& [pattern, schema] : node.pattern_properties) {
    if (!Matches(compiled_.patterns[pattern], key, visit)) continue;
    known = true;
    fits = Fits(schema, value, visit) && fits;
  }
  if (known || node.additional == kNone) return fits;
  const bool forbidden = !compiled_.nodes[node.additional].always.value_or(true);
  if (forbidden) return visit.telling() && TellUnknown(node, key, visit);
  return Fits(node.additional, value, visit) && fits;
}

bool Walk::FitsCombined(const Node& node, const Json& value, const Visit& visit) const {
  bool fits = true;
  for (const NodeId part : node.all_of) {
    fits = Fits(part, value, visit) && fits;
    if (visit.Settled(fits)) return false;
  }
  if (!node.any_of.empty()) fits = FitsAny(node.any_of, value, visit) && fits;
  if (!node.one_of.empty()) fits = FitsOne(node.one_of, value, visit) && fits;
  if (node.negated != kNone && Fits(node.negated, value, visit.Silent())) {
    fits = false;
    if (visit.telling()) {
      visit.Tell(fmt::format("must not fit {}", compiled_.Where(node.negated)));
    }
  }
  if (node.condition != kNone) {
    const NodeId then =
        Fits(node.condition, value, visit.Silent()) ? node.consequence : node.alternative;
    if (then != kNone) fits = Fits(then, value, visit) && fits;
  }
  return fits && !visit.exhausted();
}

bool Walk::FitsAny(const std::vector<NodeId>& alternatives, const Json& value,
                   const Visit& visit) const {
  std::vector<Findings> tries;
  for (const NodeId alternative : alternatives) {
    Findings found;
    if (Fits(alternative, value, visit.TellingTo(visit.telling() ? &found : nullptr))) return true;
    if (visit.exhausted()) return false;
    if (visit.telling()) tries.push_back(std::move(found));
  }
  if (visit.telling()) TellNoneFits(std::move(tries), visit);
  return false;
}

bool Walk::FitsOne(const std::vector<NodeId>& alternatives, const Json& value,
                   const Visit& visit) const {
  std::vector<Findings> tries;
  size_t fitting = 0;
  for (const NodeId alternative : alternatives) {
    Findings found;
    if (Fits(alternative, value, visit.TellingTo(visit.telling() ? &found : nullptr))) {
      ++fitting;
    } else if (visit.telling()) {
      tries.push_back(std::move(found));
    }
    if (visit.exhausted()) return false;
  }
  if (fitting == 1) return true;
  if (!visit.telling()) return false;
  if (fitting > 1) {
    return visit.Tell(fmt::format("fits {} of its {} alternatives, but must fit exactly one",
                                  fitting, alternatives.size()));
  }
  TellNoneFits(std::move(tries), visit);
  return false;
}
// NOLINTEND(misc-no-recursion)

}  // namespace
}  // namespace schema

std::vector<Misfit> Schema::Check(std::string_view settings) const {
  const auto as_a_whole = [](std::string reason) {
    return std::vector<Misfit>{{{}, false, "", std::move(reason)}};
  };
  if (schema::Nesting(settings) > kMaxSettingsNesting) {
    return as_a_whole(fmt::format("nested deeper than {} levels", kMaxSettingsNesting));
  }
  const auto json = nlohmann::json::parse(settings, nullptr, /*allow_exceptions=*/false);
  if (json.is_discarded()) return as_a_whole("not JSON");
  schema::Budget budget;
  schema::Findings findings;
  schema::Walk(*compiled_).Fits(0, json, schema::Visit(&budget, &findings));
  if (budget.exhausted()) {
    return as_a_whole(
        fmt::format("cannot be checked in {} steps: the schema has too many "
                    "alternatives or patterns for settings of this size",
                    schema::kMaxSteps));
  }
  std::vector<Misfit> all;
  for (auto& finding : findings) all.push_back(std::move(finding.misfit));
  return all;
}

}  // namespace plugind::config
