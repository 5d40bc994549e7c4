#include "daemon/pluginctl/call/describe.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "daemon/config/suggest.h"
#include "daemon/pluginctl/text.h"

namespace plugind::pluginctl {
namespace {

using google::protobuf::DescriptorPool;
using google::protobuf::ServiceDescriptor;

std::string DefinitionOf(const DescriptorPool& pool, const std::string& symbol) {
  if (const auto* service = pool.FindServiceByName(symbol)) return service->DebugString();
  if (const auto* message = pool.FindMessageTypeByName(symbol)) return message->DebugString();
  if (const auto* type = pool.FindEnumTypeByName(symbol)) return type->DebugString();
  if (const auto* method = pool.FindMethodByName(symbol)) return method->DebugString();
  if (const auto* field = pool.FindFieldByName(symbol)) return field->DebugString();
  if (const auto* extension = pool.FindExtensionByName(symbol)) return extension->DebugString();
  return "";
}

// The request and the response of each method, each message once.
std::string MessagesOf(const ServiceDescriptor& service) {
  std::set<const google::protobuf::Descriptor*> seen;
  std::string text;
  for (int i = 0; i < service.method_count(); ++i) {
    for (const auto* message :
         {service.method(i)->input_type(), service.method(i)->output_type()}) {
      if (seen.insert(message).second) text += '\n' + message->DebugString();
    }
  }
  return text;
}

std::string PrintableLines(const std::string& text) {
  std::istringstream lines(text);
  std::string printable;
  for (std::string line; std::getline(lines, line);) printable += Printable(line) + '\n';
  return printable;
}

std::string Dump(const nlohmann::ordered_json& document) {
  return document.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + '\n';
}

std::string List(const std::vector<std::string>& names) {
  std::vector<std::string> printable;
  for (const std::string& name : names) printable.push_back(Printable(name));
  return fmt::format("{}", fmt::join(printable, ", "));
}

}  // namespace

std::string Describe(const DescriptorPool& pool, const std::string& symbol) {
  std::string text = DefinitionOf(pool, symbol);
  if (text.empty()) return text;
  if (const ServiceDescriptor* service = pool.FindServiceByName(symbol))
    text += MessagesOf(*service);
  return PrintableLines(text);
}

std::string DescribeAsJson(const DescriptorPool& pool, const std::string& symbol) {
  nlohmann::ordered_json document = {{"name", symbol}};
  if (const ServiceDescriptor* service = pool.FindServiceByName(symbol)) {
    nlohmann::ordered_json methods = nlohmann::ordered_json::array();
    for (int i = 0; i < service->method_count(); ++i) {
      const google::protobuf::MethodDescriptor& method = *service->method(i);
      methods.push_back({{"name", method.name()},
                         {"request", method.input_type()->full_name()},
                         {"response", method.output_type()->full_name()},
                         {"clientStreaming", method.client_streaming()},
                         {"serverStreaming", method.server_streaming()}});
    }
    document["methods"] = std::move(methods);
  }
  document["definition"] = DefinitionOf(pool, symbol);
  return Dump(document);
}

std::string ServicesAsJson(const std::vector<std::string>& services) {
  return Dump({{"services", services}});
}

std::string NoSuchService(const std::string& plugin, const std::string& symbol,
                          const std::vector<std::string>& services) {
  return fmt::format("{} does not serve \"{}\"{}\n  it has {}", plugin, symbol,
                     config::DidYouMean(symbol, services),
                     services.empty() ? "no services" : List(services));
}

std::string NoSuchMethod(const ServiceDescriptor& service, const std::string& method) {
  std::vector<std::string> methods;
  for (int i = 0; i < service.method_count(); ++i) methods.push_back(service.method(i)->name());
  return fmt::format("{} has no method \"{}\"{}\n  it has {}", service.full_name(), method,
                     config::DidYouMean(method, methods),
                     methods.empty() ? "no methods" : List(methods));
}

}  // namespace plugind::pluginctl
