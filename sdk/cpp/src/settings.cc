#include "plugind/settings.h"

#include <google/protobuf/struct.pb.h>
#include <google/protobuf/util/json_util.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>

#include "sdk/cpp/src/struct_json.h"

namespace plugind {
namespace {

using google::protobuf::Value;

// From here on a double no longer tells one integer from the next.
constexpr double kWholeLimit = 9007199254740992.0;  // 2^53

const char* KindOf(const Value& value) {
  switch (value.kind_case()) {
    case Value::kBoolValue:
      return "true or false";
    case Value::kStringValue:
      return "a string";
    case Value::kNumberValue:
      return "a number";
    case Value::kStructValue:
      return "a table";
    case Value::kListValue:
      return "an array";
    case Value::kNullValue:
    case Value::KIND_NOT_SET:
      break;
  }
  return "null";
}

bool IsAbsent(const Value& value) {
  return value.kind_case() == Value::kNullValue || value.kind_case() == Value::KIND_NOT_SET;
}

// The element that "[N]" at the start of `rest` names, which is taken off it.
const Value* TakeElement(const Value& value, std::string_view& rest) {
  const size_t end = rest.find(']');
  if (end == std::string_view::npos || !value.has_list_value()) return nullptr;
  const std::string_view digits = rest.substr(1, end - 1);
  int index = -1;
  const auto [stop, error] = std::from_chars(digits.data(), digits.data() + digits.size(), index);
  if (error != std::errc() || stop != digits.data() + digits.size()) return nullptr;
  if (index < 0 || index >= value.list_value().values_size()) return nullptr;
  rest.remove_prefix(end + 1);
  return &value.list_value().values(index);
}

// The field whose name `rest` begins with, which is taken off it.
const Value* TakeField(const Value& value, std::string_view& rest) {
  if (!value.has_struct_value()) return nullptr;
  const std::string name(rest.substr(0, rest.find_first_of(".[")));
  rest.remove_prefix(name.size());
  const auto& fields = value.struct_value().fields();
  const auto found = fields.find(name);
  return found == fields.end() ? nullptr : &found->second;
}

// With sorted names, which Protocol Buffers' own has not. As deep as the message, whose depth
// Protocol Buffers have bounded.
nlohmann::json JsonOf(const Value& value) {
  switch (value.kind_case()) {
    case Value::kBoolValue:
      return value.bool_value();
    case Value::kStringValue:
      return value.string_value();
    case Value::kNumberValue: {
      const double number = value.number_value();
      const bool whole = std::trunc(number) == number && std::abs(number) <= kWholeLimit;
      return whole ? nlohmann::json(static_cast<int64_t>(number)) : nlohmann::json(number);
    }
    case Value::kStructValue: {
      nlohmann::json table = nlohmann::json::object();
      for (const auto& [name, each] : value.struct_value().fields()) table[name] = JsonOf(each);
      return table;
    }
    case Value::kListValue: {
      nlohmann::json array = nlohmann::json::array();
      for (const Value& each : value.list_value().values()) array.push_back(JsonOf(each));
      return array;
    }
    case Value::kNullValue:
    case Value::KIND_NOT_SET:
      break;
  }
  return nullptr;
}

}  // namespace

google::protobuf::Struct sdk::StructFromJson(const std::string& json) {
  google::protobuf::Struct table;
  const auto status = google::protobuf::util::JsonStringToMessage(json, &table);
  if (!status.ok()) throw std::invalid_argument("settings: " + status.ToString());
  return table;
}

BadSetting::BadSetting(std::string field, std::string reason)
    : std::runtime_error(field.empty() ? reason : field + ": " + reason),
      violation_{std::move(field), std::move(reason)} {}
BadSetting::~BadSetting() = default;

Settings::Settings() : Settings(google::protobuf::Struct()) {}

Settings::Settings(const google::protobuf::Struct& table) {
  auto value = std::make_shared<Value>();
  *value->mutable_struct_value() = table;
  value_ = std::move(value);
}

Settings::Settings(std::shared_ptr<const Value> value, std::string prefix)
    : value_(std::move(value)), prefix_(std::move(prefix)) {}

Settings Settings::from_json(const std::string& json) {
  return Settings(sdk::StructFromJson(json));
}

// Null, too, is nothing: what JSON writes for a setting that is not given.
const Value* Settings::Lookup(std::string_view path) const {
  const Value* at = value_.get();
  std::string_view rest = path;
  while (at != nullptr && !rest.empty()) {
    if (rest.front() == '[') {
      at = TakeElement(*at, rest);
    } else {
      if (rest.front() == '.') rest.remove_prefix(1);
      at = TakeField(*at, rest);
    }
  }
  return at != nullptr && IsAbsent(*at) ? nullptr : at;
}

std::string Settings::Full(std::string_view path) const {
  if (prefix_.empty() || path.empty()) return prefix_ + std::string(path);
  return prefix_ + (path.front() == '[' ? "" : ".") + std::string(path);
}

void Settings::ThrowType(std::string_view path, const char* expected, const Value& is) const {
  throw BadSetting(Full(path), std::string("must be ") + expected + ", not " + KindOf(is));
}

void Settings::ThrowMissing(std::string_view path) const {
  throw BadSetting(Full(path), "is missing");
}

bool Settings::has(std::string_view path) const { return Lookup(path) != nullptr; }

std::optional<bool> Settings::Boolean(std::string_view path) const {
  const Value* found = Lookup(path);
  if (found == nullptr) return std::nullopt;
  if (!found->has_bool_value()) ThrowType(path, "true or false", *found);
  return found->bool_value();
}

std::optional<std::string> Settings::String(std::string_view path) const {
  const Value* found = Lookup(path);
  if (found == nullptr) return std::nullopt;
  if (!found->has_string_value()) ThrowType(path, "a string", *found);
  return found->string_value();
}

std::optional<double> Settings::Number(std::string_view path) const {
  const Value* found = Lookup(path);
  if (found == nullptr) return std::nullopt;
  if (!found->has_number_value()) ThrowType(path, "a number", *found);
  return found->number_value();
}

std::optional<int64_t> Settings::Integer(std::string_view path, int64_t least, int64_t most) const {
  const std::optional<double> number = Number(path);
  if (!number) return std::nullopt;
  if (std::trunc(*number) != *number) throw BadSetting(Full(path), "must be a whole number");
  if (std::abs(*number) > kWholeLimit || *number < static_cast<double>(least) ||
      *number > static_cast<double>(most)) {
    throw BadSetting(Full(path),
                     "must be from " + std::to_string(least) + " to " + std::to_string(most));
  }
  return static_cast<int64_t>(*number);
}

Settings Settings::table(std::string_view path) const {
  const Value* found = Lookup(path);
  if (found == nullptr) return Settings();
  if (!found->has_struct_value()) ThrowType(path, "a table", *found);
  return Settings(std::shared_ptr<const Value>(value_, found), Full(path));
}

std::vector<std::string> Settings::names() const {
  std::vector<std::string> names;
  for (const auto& [name, value] : value_->struct_value().fields()) names.push_back(name);
  std::sort(names.begin(), names.end());
  return names;
}

size_t Settings::size(std::string_view path) const {
  const Value* found = Lookup(path);
  if (found == nullptr) return 0;
  if (!found->has_list_value()) ThrowType(path, "an array", *found);
  return static_cast<size_t>(found->list_value().values_size());
}

std::vector<std::string> Settings::strings(std::string_view path) const {
  std::vector<std::string> all;
  const size_t count = size(path);
  for (size_t i = 0; i < count; ++i) {
    all.push_back(require<std::string>(std::string(path) + "[" + std::to_string(i) + "]"));
  }
  return all;
}

std::string Settings::json() const {
  // `replace`: as everywhere, text that is not UTF-8 is no reason to fail.
  return JsonOf(*value_).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace plugind
