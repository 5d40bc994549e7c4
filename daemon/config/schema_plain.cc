#include "daemon/config/schema_plain.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <utility>

#include "daemon/config/schema_words.h"
#include "daemon/config/value.h"

namespace plugind::config::schema {
namespace {

// A pattern's instructions times the text's bytes that count as one step.
constexpr uint64_t kPatternWorkPerStep = 32;

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

bool IsAmong(const Json& words, const Json& value, const Visit& visit) {
  if (std::find(words.begin(), words.end(), value) != words.end()) return true;
  if (!visit.telling()) return false;
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
  if (value.is_string() && visit.Spend(texts.size())) {
    guess = Guess(value.get_ref<const std::string&>(), std::move(texts));
  }
  return visit.Tell(
      fmt::format("must be {}, not {}{}", fmt::join(shown, " or "), ShownJson(value), guess),
      Fault::kChoice);
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

}  // namespace

bool FitsKind(const Node& node, const Json& value, const Visit& visit) {
  if (node.types != 0 && !HasType(value, node.types)) {
    return visit.telling() &&
           visit.Tell(fmt::format("must be {}, not {}", TypeNames(node.types), KindOf(value)),
                      Fault::kType);
  }
  if (node.enumeration == nullptr && node.constant == nullptr) return true;
  if (!visit.Spend(node.choice_weight)) return false;
  if (node.constant != nullptr && *node.constant != value) {
    return visit.telling() && visit.Tell(fmt::format("must be {}, not {}",
                                                     ShownJson(*node.constant), ShownJson(value)),
                                         Fault::kChoice);
  }
  return node.enumeration == nullptr || IsAmong(*node.enumeration, value, visit);
}

bool FitsNumber(const Node& node, const Json& value, const Visit& visit) {
  bool fits = true;
  const auto require = [&](bool holds, std::string_view what, const Json& bound) {
    if (holds) return;
    fits = false;
    if (!visit.telling()) return;
    visit.Tell(fmt::format("must be {} {}, not {}", what, bound.dump(), value.dump()));
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

bool FitsText(const Node& node, const std::vector<Pattern>& patterns, const std::string& text,
              const Visit& visit) {
  bool fits = true;
  if (node.length.min || node.length.max) {
    if (!visit.Spend(1 + text.size() / kPatternWorkPerStep)) return false;
    fits = FitsBounds(node.length, CodePoints(text), "character", visit);
  }
  if (node.pattern != kNone && !Matches(patterns[node.pattern], text, visit)) {
    fits = false;
    if (visit.telling() && !visit.exhausted()) {
      visit.Tell(fmt::format("must match {}, not be {}", Shown(patterns[node.pattern].text()),
                             Shown(text)));
    }
  }
  return fits;
}

bool FitsBounds(const Bounds& bounds, uint64_t count, std::string_view noun, const Visit& visit) {
  const bool few = bounds.min && count < *bounds.min;
  const bool many = bounds.max && count > *bounds.max;
  if (!few && !many) return true;
  if (!visit.telling()) return false;
  return visit.Tell(fmt::format(
      "must have {}, not {}",
      few ? "at least " + Counted(*bounds.min, noun) : "at most " + Counted(*bounds.max, noun),
      count));
}

bool FitsUnique(const Json& value, const Visit& visit) {
  // Sorting compares each item some log2(n) times.
  const auto rounds = static_cast<uint64_t>(std::log2(static_cast<double>(value.size()) + 1)) + 1;
  if (!visit.Spend(Weight(value) * rounds)) return false;
  std::vector<const Json*> sorted;
  for (const auto& item : value) sorted.push_back(&item);
  std::sort(sorted.begin(), sorted.end(), [](const Json* a, const Json* b) { return *a < *b; });
  const auto twice = std::adjacent_find(sorted.begin(), sorted.end(),
                                        [](const Json* a, const Json* b) { return *a == *b; });
  if (twice == sorted.end()) return true;
  return visit.telling() && visit.Tell(fmt::format("has {} twice", ShownJson(**twice)));
}

bool Matches(const Pattern& pattern, const std::string& text, const Visit& visit) {
  return visit.Spend(1 + text.size() * pattern.size() / kPatternWorkPerStep) &&
         pattern.Matches(text);
}

}  // namespace plugind::config::schema
