#include "daemon/pluginctl/conformance/description.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>
#include <vector>

#include "daemon/pluginctl/conformance/handshake.h"
#include "daemon/pluginctl/text.h"

namespace plugind::pluginctl::conformance {
namespace {

using google::protobuf::Struct;
using google::protobuf::Value;
using nlohmann::json;

// plugin.proto has these limits.
constexpr int kLongestName = 128;
constexpr int kMostServices = 1024;
constexpr int kMostCapabilities = 256;
constexpr int kMostVersions = 16;
constexpr size_t kMostBytes = size_t{32} * 1024;
constexpr size_t kLargestSchema = size_t{256} * 1024;

bool IsNameByte(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '_' || c == '.';
}

bool IsName(const std::string& name) {
  return !name.empty() && name.size() <= kLongestName && std::ranges::all_of(name, IsNameByte);
}

// The major of MAJOR.MINOR; nothing where it is not that.
std::optional<uint32_t> Major(const std::string& version) {
  const size_t dot = version.find('.');
  if (dot == std::string::npos || !ParseNumber(version.substr(dot + 1))) return std::nullopt;
  return ParseNumber(version.substr(0, dot));
}

std::string WrongCapability(const plugin::v1::Capability& capability) {
  const std::string name = Printable(capability.name());
  if (!IsName(capability.name()))
    return fmt::format("the capability \"{}\" has a name that is none", name);
  if (capability.versions().empty()) return fmt::format("the capability {} has no version", name);
  if (capability.versions_size() > kMostVersions) {
    return fmt::format("the capability {} has {} versions; at most {}", name,
                       capability.versions_size(), kMostVersions);
  }
  std::set<uint32_t> majors;
  for (const std::string& version : capability.versions()) {
    const auto major = Major(version);
    if (!major) {
      return fmt::format("the capability {} has the version \"{}\"; expected MAJOR.MINOR", name,
                         Printable(version));
    }
    if (!majors.insert(*major).second)
      return fmt::format("the capability {} has the major {} twice", name, *major);
  }
  return "";
}

// Whether `value` is of a type of JSON Schema.
bool Is(const Value& value, const std::string& type) {
  switch (value.kind_case()) {
    case Value::kNullValue:
      return type == "null";
    case Value::kBoolValue:
      return type == "boolean";
    case Value::kNumberValue:
      return type == "number" || type == "integer";
    case Value::kStringValue:
      return type == "string";
    case Value::kListValue:
      return type == "array";
    default:
      return type == "object";
  }
}

// A value of none of these types.
std::optional<Value> OtherThan(const std::vector<std::string>& types) {
  Value text, number, flag;
  text.set_string_value("plugin-test");
  number.set_number_value(-1);
  flag.set_bool_value(true);
  for (const Value& each : {text, number, flag}) {
    if (std::ranges::none_of(types, [&](const auto& type) { return Is(each, type); })) return each;
  }
  return std::nullopt;
}

std::vector<std::string> TypesOf(const json& property) {
  std::vector<std::string> types;
  if (!property.is_object() || !property.contains("type")) return types;
  const json& type = property["type"];
  if (type.is_string()) types.push_back(type);
  if (!type.is_array()) return types;
  for (const json& each : type)
    if (each.is_string()) types.push_back(each);
  return types;
}

}  // namespace

std::string WrongDescription(const std::string& text) {
  const json info = json::parse(text, nullptr, false);
  if (info.is_discarded()) return "what it prints is not JSON";
  if (!info.is_object()) return "what it prints is JSON, but not an object";
  for (const char* key : {"name", "version"}) {
    if (!info.contains(key) || !info[key].is_string())
      return fmt::format("\"{}\" is missing or not a string", key);
  }
  for (const char* key : {"services", "protocolVersions"}) {
    if (!info.contains(key) || !info[key].is_array())
      return fmt::format("\"{}\" is missing or not an array", key);
  }
  const auto all = [&](const char* key, auto&& fits) {
    return std::all_of(info[key].begin(), info[key].end(), fits);
  };
  if (!all("services", [](const json& each) { return each.is_string(); }))
    return "\"services\" has something in it that is no string";
  if (!all("protocolVersions", [](const json& each) { return each.is_number_unsigned(); }))
    return "\"protocolVersions\" has something in it that is no version";
  if (info.contains("capabilities")) {
    const json& capabilities = info["capabilities"];
    const bool named =
        capabilities.is_array() &&
        std::all_of(capabilities.begin(), capabilities.end(), [](const json& each) {
          return each.is_object() && each.contains("name") && each["name"].is_string();
        });
    if (!named) return "\"capabilities\" is not an array of objects with a name";
  }
  if (info.contains("configSchema") && !info["configSchema"].is_object())
    return "\"configSchema\" is not an object";
  return "";
}

std::string BeyondBounds(const plugin::v1::NegotiateResponse& response) {
  for (const auto& [what, text] :
       {std::pair("name", response.name()), std::pair("version", response.version())}) {
    if (text.size() > kLongestName)
      return fmt::format("{} has {} bytes; at most {}", what, text.size(), kLongestName);
  }
  if (response.services_size() > kMostServices)
    return fmt::format("{} services; at most {}", response.services_size(), kMostServices);
  if (response.capabilities_size() > kMostCapabilities)
    return fmt::format("{} capabilities; at most {}", response.capabilities_size(),
                       kMostCapabilities);
  size_t bytes = 0;
  for (const std::string& service : response.services()) bytes += service.size();
  for (const auto& capability : response.capabilities()) bytes += capability.ByteSizeLong();
  if (bytes > kMostBytes)
    return fmt::format("services and capabilities have {} bytes; at most {}", bytes, kMostBytes);
  if (response.config_schema().size() > kLargestSchema) {
    return fmt::format("the schema has {} bytes; at most {}", response.config_schema().size(),
                       kLargestSchema);
  }
  return "";
}

std::string WrongNames(const plugin::v1::NegotiateResponse& response) {
  for (const std::string& service : response.services()) {
    if (!IsName(service) || service.find('-') != std::string::npos)
      return fmt::format("\"{}\" is not the full name of a service", Printable(service));
  }
  std::set<std::string> names;
  for (const auto& capability : response.capabilities()) {
    if (std::string wrong = WrongCapability(capability); !wrong.empty()) return wrong;
    if (!names.insert(capability.name()).second)
      return fmt::format("the capability {} is there twice", capability.name());
  }
  return "";
}

std::string WrongSchema(const std::string& schema) {
  const json parsed = json::parse(schema, nullptr, false);
  if (parsed.is_discarded()) return "it is not JSON";
  if (!parsed.is_object()) return "it is JSON, but not an object";
  const std::vector<std::string> types = TypesOf(parsed);
  if (!types.empty() && std::ranges::find(types, "object") == types.end())
    return fmt::format("its type is {}; settings are an object", types.front());
  return "";
}

std::optional<Struct> Violate(const std::string& schema, const Struct& allowed) {
  const json parsed = json::parse(schema, nullptr, false);
  if (!parsed.is_object()) return std::nullopt;
  Struct wrong = allowed;
  const json properties = parsed.value("properties", json::object());
  if (properties.is_object()) {
    for (const auto& [name, property] : properties.items()) {
      const std::vector<std::string> types = TypesOf(property);
      const auto other = types.empty() ? std::nullopt : OtherThan(types);
      if (!other) continue;
      (*wrong.mutable_fields())[name] = *other;
      return wrong;
    }
  }
  if (parsed.contains("additionalProperties") && parsed["additionalProperties"] == false) {
    (*wrong.mutable_fields())["plugin-test"].set_bool_value(true);
    return wrong;
  }
  if (parsed.contains("required") && parsed["required"].is_array() && !parsed["required"].empty() &&
      parsed["required"][0].is_string()) {
    wrong.mutable_fields()->erase(parsed["required"][0].get<std::string>());
    return wrong;
  }
  return std::nullopt;
}

}  // namespace plugind::pluginctl::conformance
