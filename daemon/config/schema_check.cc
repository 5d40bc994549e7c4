// Walks a JSON value and a schema's Nodes together. The stack is bounded by the nesting of settings
// times kMaxInPlace, the time by a budget of steps.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <utility>

#include "daemon/config/json.h"
#include "daemon/config/schema_node.h"
#include "daemon/config/schema_words.h"
#include "daemon/config/value.h"

namespace plugind::config {
namespace schema {
namespace {

// A step takes some 50 ns; settings of the greatest size take a fifth of these.
constexpr uint64_t kMaxSteps = 2'000'000;
constexpr uint64_t kStepsPerMessage = 16;
// A pattern's instructions times the text's bytes that count as one step.
constexpr uint64_t kPatternWorkPerStep = 32;

// The way to a value, from the inside out; lives on the stack.
struct Place {
  const Place* up = nullptr;
  const std::string* key = nullptr;
  size_t index = 0;
};

enum class Fault {
  kType,    // not even the right kind of value
  kChoice,  // another word or number than the ones that are meant
  kOther,
};

struct Finding {
  Fault fault;
  Misfit misfit;
};

// What was found. Null stands for "only whether it fits": then nothing is composed.
using Findings = std::vector<Finding>;

bool IsWhole(const Json& value) {
  return value.is_number_integer() ||
         (value.is_number_float() && value.get<double>() == std::floor(value.get<double>()));
}

bool HasType(const Json& value, uint8_t types) {
  switch (value.type()) {
    case Json::value_t::null:
      return (types & kNull) != 0;
    case Json::value_t::boolean:
      return (types & kBoolean) != 0;
    case Json::value_t::string:
      return (types & kString) != 0;
    case Json::value_t::array:
      return (types & kArray) != 0;
    case Json::value_t::object:
      return (types & kObject) != 0;
    default:
      return (types & kNumber) != 0 || ((types & kInteger) != 0 && IsWhole(value));
  }
}

bool IsMultiple(const Json& value, const Json& of) {
  constexpr double kExact = 9'007'199'254'740'992;  // 2^53: what doubles count without gaps
  const bool whole = value.is_number_integer() && of.is_number_integer();
  if (whole && std::abs(value.get<double>()) <= kExact && of.get<double>() <= kExact)
    return value.get<int64_t>() % of.get<int64_t>() == 0;
  const double times = value.get<double>() / of.get<double>();
  // 0.3 is three times 0.1, whatever doubles make of it.
  return std::abs(times - std::round(times)) <= 1e-9 * std::max(1.0, std::abs(times));
}

size_t CodePoints(const std::string& text) {
  return static_cast<size_t>(std::count_if(
      text.begin(), text.end(), [](char c) { return (static_cast<uint8_t>(c) & 0xc0) != 0x80; }));
}

class Checker {
 public:
  explicit Checker(const Schema::Compiled& compiled) : compiled_(compiled) {}

  std::vector<Misfit> Run(const Json& settings) {
    Findings findings;
    const Place top;
    Fits(0, settings, &top, &findings);
    std::vector<Misfit> all;
    for (auto& finding : findings) all.push_back(std::move(finding.misfit));
    if (exhausted_) {
      all.clear();
      all.push_back({{},
                     false,
                     "",
                     fmt::format("cannot be checked in {} steps: the schema has too many "
                                 "alternatives or patterns for settings of this size",
                                 kMaxSteps)});
    }
    return all;
  }

 private:
  // False when there are no steps left; then nothing fits and everything ends.
  bool Spend(uint64_t steps) {
    if (steps > left_) exhausted_ = true;
    left_ -= std::min(steps, left_);
    return !exhausted_;
  }

  // Always false.
  bool Tell(Findings* findings, const Place* at, std::string reason, Fault fault = Fault::kOther,
            const std::string* key = nullptr, bool of_key = false) {
    if (!Spend(kStepsPerMessage) || findings->size() >= kMaxMisfits) return false;
    Misfit misfit;
    if (key != nullptr) misfit.path.push_back({*key, 0, false});
    for (; at->up != nullptr; at = at->up) {
      if (at->key != nullptr) {
        misfit.path.push_back({*at->key, 0, false});
      } else {
        misfit.path.push_back({"", at->index, true});
      }
    }
    std::reverse(misfit.path.begin(), misfit.path.end());
    misfit.of_key = of_key;
    misfit.field = FieldOf(misfit.path);
    misfit.reason = std::move(reason);
    findings->push_back({fault, std::move(misfit)});
    return false;
  }

  bool Fits(NodeId id, const Json& value, const Place* at, Findings* findings);
  bool FitsChoice(const Node& node, const Json& value, const Place* at, Findings* findings);
  bool FitsNumber(const Node& node, const Json& value, const Place* at, Findings* findings);
  bool FitsText(const Node& node, const std::string& text, const Place* at, Findings* findings);
  bool FitsList(const Node& node, const Json& value, const Place* at, Findings* findings);
  bool FitsUnique(const Json& value, const Place* at, Findings* findings);
  bool FitsObject(const Node& node, const Json& value, const Place* at, Findings* findings);
  bool FitsKey(const Node& node, const std::string& key, const Json& value, const Place* at,
               Findings* findings);
  bool FitsNeeds(const Node& node, const Json& value, const Place* at, Findings* findings);
  bool FitsCombined(const Node& node, const Json& value, const Place* at, Findings* findings);
  bool FitsAny(const std::vector<NodeId>& alternatives, const Json& value, const Place* at,
               Findings* findings);
  bool FitsOne(const std::vector<NodeId>& alternatives, const Json& value, const Place* at,
               Findings* findings);
  void Explain(std::vector<Findings> tries, const Place* at, Findings* findings);
  bool Unknown(const Node& node, const std::string& key, const Place* at, Findings* findings);
  bool Matches(uint32_t pattern, const std::string& text) {
    const auto& compiled = compiled_.patterns[pattern];
    return Spend(1 + text.size() * compiled.size() / kPatternWorkPerStep) && compiled.Matches(text);
  }
  bool InBounds(const Bounds& bounds, uint64_t count, std::string_view noun, const Place* at,
                Findings* findings);

  const Schema::Compiled& compiled_;
  uint64_t left_ = kMaxSteps;
  bool exhausted_ = false;
};

// NOLINTBEGIN(misc-no-recursion): bounded, see the top
bool Checker::Fits(NodeId id, const Json& value, const Place* at, Findings* findings) {
  if (!Spend(1)) return false;
  const Node& node = compiled_.nodes[id];
  if (node.ref != kNone) return Fits(node.ref, value, at, findings);
  if (node.always) {
    return *node.always || (findings != nullptr && Tell(findings, at, "is not allowed"));
  }
  if (node.types != 0 && !HasType(value, node.types)) {
    return findings != nullptr &&
           Tell(findings, at,
                fmt::format("must be {}, not {}", TypeNames(node.types), KindOf(value)),
                Fault::kType);
  }
  if (!FitsChoice(node, value, at, findings)) return false;
  bool fits = true;
  if (value.is_number()) fits = FitsNumber(node, value, at, findings);
  if (value.is_string()) {
    fits = FitsText(node, value.get_ref<const std::string&>(), at, findings);
  }
  if (value.is_array()) fits = FitsList(node, value, at, findings);
  if (value.is_object()) fits = FitsObject(node, value, at, findings);
  if (!fits && findings == nullptr) return false;
  return FitsCombined(node, value, at, findings) && fits;
}

bool Checker::FitsChoice(const Node& node, const Json& value, const Place* at, Findings* findings) {
  if (node.enumeration == nullptr && node.constant == nullptr) return true;
  if (!Spend(node.choice_weight)) return false;
  if (node.constant != nullptr && *node.constant != value) {
    return findings != nullptr &&
           Tell(findings, at,
                fmt::format("must be {}, not {}", ShownJson(*node.constant), ShownJson(value)),
                Fault::kChoice);
  }
  if (node.enumeration == nullptr) return true;
  const auto& words = *node.enumeration;
  if (std::find(words.begin(), words.end(), value) != words.end()) return true;
  if (findings == nullptr) return false;
  constexpr size_t kShownWords = 8;
  std::vector<std::string> shown;
  std::vector<std::string> texts;
  for (const auto& word : words) {
    if (shown.size() < kShownWords) shown.push_back(ShownJson(word));
    if (word.is_string()) texts.push_back(word.get<std::string>());
  }
  if (words.size() > kShownWords)
    shown.back() = fmt::format("one of {} more", words.size() - kShownWords + 1);
  std::string guess;
  if (value.is_string() && Spend(texts.size())) {
    guess = Guess(value.get_ref<const std::string&>(), std::move(texts));
  }
  return Tell(
      findings, at,
      fmt::format("must be {}, not {}{}", fmt::join(shown, " or "), ShownJson(value), guess),
      Fault::kChoice);
}

bool Checker::FitsNumber(const Node& node, const Json& value, const Place* at, Findings* findings) {
  bool fits = true;
  const auto require = [&](bool holds, std::string_view what, const Json& bound) {
    if (holds) return;
    fits = false;
    if (findings == nullptr) return;
    Tell(findings, at, fmt::format("must be {} {}, not {}", what, bound.dump(), value.dump()));
  };
  if (node.minimum != nullptr) require(!(value < *node.minimum), "at least", *node.minimum);
  if (node.maximum != nullptr) require(!(*node.maximum < value), "at most", *node.maximum);
  if (node.above != nullptr) require(*node.above < value, "more than", *node.above);
  if (node.below != nullptr) require(value < *node.below, "less than", *node.below);
  if (node.multiple_of != nullptr) {
    require(IsMultiple(value, *node.multiple_of), "a multiple of", *node.multiple_of);
  }
  return fits;
}

bool Checker::InBounds(const Bounds& bounds, uint64_t count, std::string_view noun, const Place* at,
                       Findings* findings) {
  const bool few = bounds.min && count < *bounds.min;
  const bool many = bounds.max && count > *bounds.max;
  if (!few && !many) return true;
  if (findings == nullptr) return false;
  return Tell(findings, at,
              fmt::format("must have {}, not {}",
                          few ? "at least " + Counted(*bounds.min, noun)
                              : "at most " + Counted(*bounds.max, noun),
                          count));
}

bool Checker::FitsText(const Node& node, const std::string& text, const Place* at,
                       Findings* findings) {
  bool fits = true;
  if (node.length.min || node.length.max) {
    if (!Spend(1 + text.size() / kPatternWorkPerStep)) return false;
    fits = InBounds(node.length, CodePoints(text), "character", at, findings);
  }
  if (node.pattern != kNone && !Matches(node.pattern, text)) {
    fits = false;
    if (findings != nullptr && !exhausted_) {
      Tell(findings, at,
           fmt::format("must match {}, not be {}", Shown(compiled_.patterns[node.pattern].text()),
                       Shown(text)));
    }
  }
  return fits;
}

bool Checker::FitsUnique(const Json& value, const Place* at, Findings* findings) {
  // Sorting compares each item some log2(n) times.
  const auto rounds = static_cast<uint64_t>(std::log2(static_cast<double>(value.size()) + 1)) + 1;
  if (!Spend(Weight(value) * rounds)) return false;
  std::vector<const Json*> sorted;
  for (const auto& item : value) sorted.push_back(&item);
  std::sort(sorted.begin(), sorted.end(), [](const Json* a, const Json* b) { return *a < *b; });
  const auto twice = std::adjacent_find(sorted.begin(), sorted.end(),
                                        [](const Json* a, const Json* b) { return *a == *b; });
  if (twice == sorted.end()) return true;
  return findings != nullptr && Tell(findings, at, fmt::format("has {} twice", ShownJson(**twice)));
}

bool Checker::FitsList(const Node& node, const Json& value, const Place* at, Findings* findings) {
  bool fits = InBounds(node.count, value.size(), "item", at, findings);
  if (node.unique) fits = FitsUnique(value, at, findings) && fits;
  bool contained = node.contains == kNone;
  for (size_t i = 0; i < value.size(); ++i) {
    if (!fits && findings == nullptr) return false;
    const Place inside{at, nullptr, i};
    const NodeId item = i < node.items_at.size() ? node.items_at[i] : node.items;
    if (item != kNone) fits = Fits(item, value[i], &inside, findings) && fits;
    contained = contained || Fits(node.contains, value[i], &inside, nullptr);
    if (exhausted_) return false;
  }
  if (contained) return fits;
  return findings != nullptr &&
         Tell(findings, at,
              fmt::format("has no item that fits {}", compiled_.Where(node.contains)));
}

bool Checker::Unknown(const Node& node, const std::string& key, const Place* at,
                      Findings* findings) {
  std::vector<std::string> known;
  for (const auto& [name, schema] : node.properties) known.emplace_back(name);
  const std::string guess = Spend(known.size()) ? Guess(key, std::move(known)) : "";
  return Tell(findings, at, "unknown key" + guess, Fault::kOther, &key, /*of_key=*/true);
}

bool Checker::FitsKey(const Node& node, const std::string& key, const Json& value, const Place* at,
                      Findings* findings) {
  if (!Spend(1)) return false;
  bool fits = true;
  const Place inside{at, &key, 0};
  if (node.names != kNone) {
    Findings of_name;
    if (!Fits(node.names, Json(key), &inside, findings != nullptr ? &of_name : nullptr)) {
      fits = false;
      for (auto& [fault, misfit] : of_name)
        Tell(findings, at, "its name " + misfit.reason, fault, &key, /*of_key=*/true);
    }
  }
  bool known = false;
  if (const auto property = node.properties.find(key); property != node.properties.end()) {
    known = true;
    fits = Fits(property->second, value, &inside, findings) && fits;
  }
  for (const auto& [pattern, schema] : node.pattern_properties) {
    if (!Matches(pattern, key)) continue;
    known = true;
    fits = Fits(schema, value, &inside, findings) && fits;
  }
  if (known || node.additional == kNone) return fits;
  const bool forbidden = !compiled_.nodes[node.additional].always.value_or(true);
  if (forbidden) return findings != nullptr && Unknown(node, key, at, findings);
  return Fits(node.additional, value, &inside, findings) && fits;
}

bool Checker::FitsNeeds(const Node& node, const Json& value, const Place* at, Findings* findings) {
  bool fits = true;
  const auto require = [&](std::string_view name, std::string reason) {
    const std::string key(name);
    if (value.contains(key)) return;
    fits = false;
    if (findings != nullptr) Tell(findings, at, std::move(reason), Fault::kOther, &key);
  };
  if (!Spend(node.required.size() + node.dependencies.size())) return false;
  for (const auto key : node.required) require(key, "is missing");
  for (const auto& [key, keys, schema] : node.dependencies) {
    if (!value.contains(std::string(key))) continue;
    if (!Spend(keys.size())) return false;
    for (const auto other : keys) require(other, fmt::format("is missing beside {}", Shown(key)));
    if (schema != kNone) fits = Fits(schema, value, at, findings) && fits;
  }
  return fits;
}

bool Checker::FitsObject(const Node& node, const Json& value, const Place* at, Findings* findings) {
  bool fits = InBounds(node.keys, value.size(), "key", at, findings);
  fits = FitsNeeds(node, value, at, findings) && fits;
  const bool any_key = node.properties.empty() && node.pattern_properties.empty() &&
                       node.additional == kNone && node.names == kNone;
  if (any_key) return fits;
  for (const auto& [key, child] : value.items()) {
    if (exhausted_ || (!fits && findings == nullptr)) return false;
    fits = FitsKey(node, key, child, at, findings) && fits;
  }
  return fits;
}

bool Checker::FitsCombined(const Node& node, const Json& value, const Place* at,
                           Findings* findings) {
  bool fits = true;
  for (const NodeId part : node.all_of) {
    fits = Fits(part, value, at, findings) && fits;
    if (exhausted_ || (!fits && findings == nullptr)) return false;
  }
  if (!node.any_of.empty()) fits = FitsAny(node.any_of, value, at, findings) && fits;
  if (!node.one_of.empty()) fits = FitsOne(node.one_of, value, at, findings) && fits;
  if (node.negated != kNone && Fits(node.negated, value, at, nullptr)) {
    fits = false;
    if (findings != nullptr) {
      Tell(findings, at, fmt::format("must not fit {}", compiled_.Where(node.negated)));
    }
  }
  if (node.condition != kNone) {
    const NodeId then =
        Fits(node.condition, value, at, nullptr) ? node.consequence : node.alternative;
    if (then != kNone) fits = Fits(then, value, at, findings) && fits;
  }
  return fits && !exhausted_;
}

bool Checker::FitsAny(const std::vector<NodeId>& alternatives, const Json& value, const Place* at,
                      Findings* findings) {
  std::vector<Findings> tries;
  for (const NodeId alternative : alternatives) {
    Findings found;
    if (Fits(alternative, value, at, findings != nullptr ? &found : nullptr)) return true;
    if (exhausted_) return false;
    if (findings != nullptr) tries.push_back(std::move(found));
  }
  if (findings != nullptr) Explain(std::move(tries), at, findings);
  return false;
}

bool Checker::FitsOne(const std::vector<NodeId>& alternatives, const Json& value, const Place* at,
                      Findings* findings) {
  std::vector<Findings> tries;
  size_t fitting = 0;
  for (const NodeId alternative : alternatives) {
    Findings found;
    if (Fits(alternative, value, at, findings != nullptr ? &found : nullptr)) {
      ++fitting;
    } else if (findings != nullptr) {
      tries.push_back(std::move(found));
    }
    if (exhausted_) return false;
  }
  if (fitting == 1) return true;
  if (findings == nullptr) return false;
  if (fitting > 1) {
    return Tell(findings, at,
                fmt::format("fits {} of its {} alternatives, but must fit exactly one", fitting,
                            alternatives.size()));
  }
  Explain(std::move(tries), at, findings);
  return false;
}

// Of alternatives none of which fits, the one that was meant speaks, if it can be told: the only
// one with the right kind of value, or the only one whose fixed words are right.
void Checker::Explain(std::vector<Findings> tries, const Place* at, Findings* findings) {
  size_t depth = 0;
  for (const Place* up = at; up->up != nullptr; up = up->up) ++depth;
  const auto rank = [depth](const Findings& found) {
    Fault worst = Fault::kOther;
    for (const auto& [fault, misfit] : found) {
      // A wrong kind further inside is a slip, not another alternative.
      if (fault != Fault::kType || misfit.path.size() == depth) worst = std::min(worst, fault);
    }
    return worst;
  };
  Fault best = Fault::kType;
  for (const auto& found : tries) best = std::max(best, rank(found));
  const auto is_best = [&](const Findings& found) { return rank(found) == best; };
  if (std::count_if(tries.begin(), tries.end(), is_best) == 1) {
    for (auto& finding : *std::find_if(tries.begin(), tries.end(), is_best)) {
      if (findings->size() < kMaxMisfits) findings->push_back(std::move(finding));
    }
    return;
  }
  constexpr size_t kToldOf = 4;
  std::vector<std::string> told;
  for (const auto& found : tries) {
    if (found.empty() || told.size() == kToldOf) continue;
    auto misfit = found.front().misfit;
    misfit.path.erase(misfit.path.begin(), misfit.path.begin() + static_cast<ptrdiff_t>(depth));
    misfit.field = FieldOf(misfit.path);
    told.push_back(misfit.ToString());
  }
  Tell(findings, at,
       fmt::format("fits none of its {} alternatives: {}{}", tries.size(), fmt::join(told, "; or "),
                   tries.size() > kToldOf ? "; …" : ""),
       best);
}
// NOLINTEND(misc-no-recursion)

}  // namespace
}  // namespace schema

std::string Misfit::ToString() const {
  return field.empty() ? reason : fmt::format("{}: {}", field, reason);
}

std::vector<Misfit> Schema::Check(std::string_view settings) const {
  if (schema::Nesting(settings) > kMaxSettingsNesting) {
    return {{{}, false, "", fmt::format("nested deeper than {} levels", kMaxSettingsNesting)}};
  }
  const auto json = nlohmann::json::parse(settings, nullptr, /*allow_exceptions=*/false);
  if (json.is_discarded()) return {{{}, false, "", "not JSON"}};
  return schema::Checker(*compiled_).Run(json);
}

}  // namespace plugind::config
