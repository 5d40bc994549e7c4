#include "daemon/pluginctl/json.h"

#include <fmt/format.h>
#include <google/protobuf/util/json_util.h>

#include <cstdio>
#include <cstdlib>

namespace plugind::pluginctl {

std::string ToJson(const google::protobuf::Message& message) {
  google::protobuf::util::JsonPrintOptions options;
  options.always_print_primitive_fields = true;
  std::string json;
  const auto status = google::protobuf::util::MessageToJsonString(message, &json, options);
  if (!status.ok()) {  // a time outside the years 1 to 9999: the daemon never sends one
    fmt::print(stderr, "pluginctl: {} has no JSON: {}\n", message.GetTypeName(), status.ToString());
    std::abort();
  }
  return json;
}

}  // namespace plugind::pluginctl
