#include "daemon/config/schema_words.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "daemon/config/json.h"
#include "daemon/config/suggest.h"
#include "daemon/config/value.h"

namespace plugind::config {
namespace schema {

std::string KindOf(const Json& value) {
  switch (value.type()) {
    case Json::value_t::null:
      return "null";
    case Json::value_t::boolean:
      return value.get<bool>() ? "true" : "false";
    case Json::value_t::string:
      return "a string";
    case Json::value_t::array:
      return "an array";
    case Json::value_t::object:
      return "a table";
    default:
      return value.dump();
  }
}

std::string ShownJson(const Json& value) {
  return value.is_string() ? Shown(value.get_ref<const std::string&>()) : KindOf(value);
}

std::string TypeNames(uint8_t types) {
  static constexpr std::pair<Type, std::string_view> kNames[] = {
      {kString, "a string"}, {kInteger, "an integer"},
      {kNumber, "a number"}, {kBoolean, "true or false"},
      {kArray, "an array"},  {kObject, "a table"},
      {kNull, "null"}};
  if ((types & kNumber) != 0) types = static_cast<uint8_t>(types & ~kInteger);
  std::vector<std::string_view> names;
  for (const auto& [type, name] : kNames) {
    if ((types & type) != 0) names.push_back(name);
  }
  return fmt::format("{}", fmt::join(names, " or "));
}

std::string Counted(uint64_t count, std::string_view noun) {
  return fmt::format("{} {}{}", count, noun, count == 1 ? "" : "s");
}

std::string Guess(std::string_view word, std::vector<std::string> known) {
  constexpr size_t kLongestWord = 64;  // the time grows with the square
  if (word.size() > kLongestWord) return "";
  std::erase_if(known,
                [](const std::string& text) { return Quote(text).size() != text.size() + 2; });
  std::sort(known.begin(), known.end());
  return DidYouMean(word, known);
}

std::string FieldOf(const std::vector<Misfit::Step>& path) {
  std::string field;
  for (const auto& step : path) {
    if (step.is_index) {
      field += fmt::format("[{}]", step.index);
    } else {
      if (!field.empty()) field += '.';
      field += step.key.size() > 64 ? Shown(step.key) : TomlKey(step.key);
    }
  }
  return field;
}

}  // namespace schema

std::string Misfit::ToString() const {
  return field.empty() ? reason : fmt::format("{}: {}", field, reason);
}

}  // namespace plugind::config
