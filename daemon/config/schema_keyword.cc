#include "daemon/config/schema_keyword.h"

#include <fmt/format.h>

#include <cmath>
#include <set>
#include <utility>

namespace plugind::config::schema {

void Keyword::Refuse(std::string why) const { throw Refused{id_, std::move(why)}; }

void Keyword::Must(bool holds, std::string_view what) const {
  if (!holds) Refuse(fmt::format("\"{}\" must be {}", word_, what));
}

const Json& Keyword::Number() const {
  Must(value_.is_number(), "a number");
  return value_;
}

uint64_t Keyword::Count() const {
  const bool whole = value_.is_number() && value_.get<double>() >= 0 &&
                     value_.get<double>() < 9e15 &&
                     value_.get<double>() == std::floor(value_.get<double>());
  Must(whole, "a whole number that is not negative");
  return static_cast<uint64_t>(value_.get<double>());
}

const std::string& Keyword::String() const {
  Must(value_.is_string(), "a string");
  return value_.get_ref<const std::string&>();
}

const Json& Keyword::Object() const {
  Must(value_.is_object(), "an object");
  return value_;
}

std::vector<std::string_view> Keyword::Names(const Json& list) const {
  Must(list.is_array(), "a list of strings");
  std::vector<std::string_view> all;
  std::set<std::string_view> seen;
  for (const auto& name : list) {
    Must(name.is_string(), "a list of strings");
    if (seen.insert(name.get_ref<const std::string&>()).second)
      all.push_back(name.get_ref<const std::string&>());
  }
  return all;
}

NodeId Keyword::Subschema() const { return compiler_.NodeAt(&value_, id_, word_); }

NodeId Keyword::Subschema(const Json& json, std::string key) const {
  return compiler_.NodeAt(&json, id_, word_, std::move(key));
}

std::vector<NodeId> Keyword::Subschemas() const {
  Must(value_.is_array() && !value_.empty(), "a list of schemas that is not empty");
  std::vector<NodeId> all;
  for (size_t i = 0; i < value_.size(); ++i) all.push_back(Subschema(value_[i], std::to_string(i)));
  return all;
}

uint32_t Keyword::Pattern(std::string_view text) const {
  return compiler_.AddPattern(id_, text, word_);
}

}  // namespace plugind::config::schema
