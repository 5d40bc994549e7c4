// Any bytes as a plugin's [config] table. What must hold: settings that are loaded can be handed
// over, and arrive as they are.
#include <fmt/format.h>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/config/load.h"
#include "daemon/rpc/contract_messages.h"
#include "plugind/plugin/v1/plugin.pb.h"

namespace plugind::rpc {
namespace {

using google::protobuf::Value;
using Json = nlohmann::json;

void Require(bool holds, std::string_view what, const Json& detail) {
  if (holds) return;
  fmt::print(stderr, "{}: {}\n", what, detail.dump(-1, ' ', true));
  std::abort();
}

void RequireSame(const Json& sent, const Value& arrived);

void RequireSame(const Json& sent, const google::protobuf::Struct& arrived) {
  Require(sent.is_object() && sent.size() == static_cast<size_t>(arrived.fields_size()),
          "other keys", sent);
  for (const auto& [key, value] : sent.items()) {
    const auto field = arrived.fields().find(key);
    Require(field != arrived.fields().end(), "a lost key", key);
    RequireSame(value, field->second);
  }
}

void RequireSame(const Json& sent, const Value& arrived) {
  switch (arrived.kind_case()) {
    case Value::kBoolValue:
      return Require(sent.is_boolean() && sent.get<bool>() == arrived.bool_value(), "a flag", sent);
    case Value::kNumberValue:
      Require(sent.is_number() && sent.get<double>() == arrived.number_value(), "a number", sent);
      return Require(!sent.is_number_integer() ||
                         sent.get<int64_t>() == static_cast<int64_t>(arrived.number_value()),
                     "a rounded integer", sent);
    case Value::kStringValue:
      return Require(sent.is_string() && sent.get<std::string>() == arrived.string_value(),
                     "a text", sent);
    case Value::kStructValue:
      return RequireSame(sent, arrived.struct_value());
    case Value::kListValue:
      Require(
          sent.is_array() && sent.size() == static_cast<size_t>(arrived.list_value().values_size()),
          "a list", sent);
      for (size_t i = 0; i < sent.size(); ++i)
        RequireSame(sent[i], arrived.list_value().values(static_cast<int>(i)));
      return;
    default:
      Require(false, "nothing of the kind", sent);
  }
}

void HandOver(std::string_view table) {
  const std::string file = fmt::format("command = [\"./kv\"]\n[config]\n{}", table);
  config::PluginConfig plugin;
  std::vector<config::Problem> problems;
  config::ParsePluginFile(file, "/etc/plugind/plugins.d/kv.toml", &plugin, &problems);
  if (!problems.empty()) return;
  const auto bytes = ConfigureMessage({plugin.settings, {{"drain", "1.0"}}, 1});
  Require(bytes.ok(), "cannot be handed over", plugin.settings);
  plugind::plugin::v1::ConfigureRequest request;
  Require(request.ParseFromString(*bytes), "does not arrive", plugin.settings);
  RequireSame(Json::parse(plugin.settings), request.settings());
}

}  // namespace
}  // namespace plugind::rpc

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  plugind::rpc::HandOver({reinterpret_cast<const char*>(data), size});
  return 0;
}
