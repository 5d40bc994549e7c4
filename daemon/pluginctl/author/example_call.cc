#include "daemon/pluginctl/author/example_call.h"

#include <fmt/format.h>
#include <google/protobuf/descriptor.h>

#include <chrono>
#include <memory>
#include <vector>

#include "daemon/pluginctl/call/call_status.h"
#include "daemon/pluginctl/call/reflected_schema.h"
#include "daemon/pluginctl/text.h"

namespace plugind::pluginctl {
namespace {

using google::protobuf::FieldDescriptor;

constexpr int kMostFields = 3;
constexpr int kLargestMessage = 4 << 20;

// What every plugin has.
bool IsPlumbing(const std::string& service) {
  return service.starts_with("grpc.") || service.starts_with("plugind.") ||
         service.starts_with("plugin.");
}

std::string ExampleValue(const FieldDescriptor& field) {
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_STRING:
      return field.type() == FieldDescriptor::TYPE_STRING ? R"("you")" : R"("")";
    case FieldDescriptor::CPPTYPE_BOOL:
      return "true";
    case FieldDescriptor::CPPTYPE_ENUM:
    case FieldDescriptor::CPPTYPE_MESSAGE:
      return "";
    default:
      return "1";
  }
}

std::string ExampleRequest(const google::protobuf::Descriptor& message) {
  std::vector<std::string> members;
  for (int i = 0; i < message.field_count() && i < kMostFields; ++i) {
    const FieldDescriptor& field = *message.field(i);
    const std::string value = field.is_repeated() ? "" : ExampleValue(field);
    if (!value.empty()) members.push_back(fmt::format(R"("{}": {})", field.name(), value));
  }
  return fmt::format("{{{}}}", fmt::join(members, ", "));
}

}  // namespace

std::string ExampleCall(Connection& connection, const std::string& plugin) {
  const std::string base =
      fmt::format("pluginctl --socket {} call {}", connection.socket(), plugin);
  const Metadata metadata = {{kPluginKey, plugin}};
  const std::unique_ptr<Schema> schema =
      ReflectSchema(connection, connection.OpenChannel(kLargestMessage), metadata,
                    DeadlineAfter(std::chrono::seconds(5)));
  std::vector<std::string> services;
  if (!schema->ListServices(&services).ok()) return base;
  for (const std::string& name : services) {
    if (IsPlumbing(name)) continue;
    const auto* service = schema->pool().FindServiceByName(name);
    if (service == nullptr || service->method_count() == 0) continue;
    const auto& method = *service->method(0);
    return fmt::format("{}/{}/{} -d '{}'", base, Printable(name), Printable(method.name()),
                       Printable(ExampleRequest(*method.input_type())));
  }
  return base;
}

}  // namespace plugind::pluginctl
