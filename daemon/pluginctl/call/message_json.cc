#include "daemon/pluginctl/call/message_json.h"

#include <google/protobuf/util/json_util.h>
#include <google/protobuf/util/type_resolver_util.h>

#include <nlohmann/json.hpp>
#include <tuple>

namespace plugind::pluginctl {
namespace {

constexpr const char* kPrefix = "type.googleapis.com";

std::string UrlOf(const google::protobuf::Descriptor& type) {
  return fmt::format("{}/{}", kPrefix, type.full_name());
}

// protobuf's parser says what is wrong with a field, but hardly where the syntax is broken. Empty:
// it is not.
std::string FindSyntaxError(const std::string& json) {
  try {
    std::ignore = nlohmann::json::parse(json);
  } catch (const nlohmann::json::parse_error& error) {
    const std::string text = error.what();  // "[json.exception.parse_error.101] parse error at …"
    const size_t end = text.find("] ");
    return end == std::string::npos ? text : text.substr(end + 2);
  }
  return "";
}

}  // namespace

MessageJson::MessageJson(const google::protobuf::DescriptorPool& pool)
    : types_(google::protobuf::util::NewTypeResolverForDescriptorPool(kPrefix, &pool)) {}

absl::StatusOr<std::string> MessageJson::ToBytes(const google::protobuf::Descriptor& type,
                                                 const std::string& json) const {
  std::string bytes;
  const auto status =
      google::protobuf::util::JsonToBinaryString(types_.get(), UrlOf(type), json, &bytes);
  if (!status.ok()) {
    const std::string syntax = FindSyntaxError(json);
    return Error(absl::StatusCode::kInvalidArgument, "{}",
                 syntax.empty() ? status.message().ToString() : syntax);
  }
  return bytes;
}

absl::StatusOr<std::string> MessageJson::FromBytes(const google::protobuf::Descriptor& type,
                                                   const std::string& bytes,
                                                   const JsonStyle& style) const {
  google::protobuf::util::JsonPrintOptions options;
  options.add_whitespace = style.indented;
  options.always_print_primitive_fields = style.defaults;
  std::string json;
  const auto status =
      google::protobuf::util::BinaryToJsonString(types_.get(), UrlOf(type), bytes, &json, options);
  if (!status.ok()) {
    return Error(absl::StatusCode::kDataLoss, "a message that is no {}: {}", type.full_name(),
                 status.message().ToString());
  }
  while (json.ends_with('\n')) json.pop_back();
  return json;
}

}  // namespace plugind::pluginctl
