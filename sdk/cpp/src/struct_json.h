// JSON text as google.protobuf.Struct. A pure function.
#pragma once

#include <google/protobuf/struct.pb.h>

#include <string>

namespace plugind::sdk {

// Throws std::invalid_argument if it is no JSON object.
google::protobuf::Struct StructFromJson(const std::string& json);

}  // namespace plugind::sdk
