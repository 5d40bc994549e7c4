// The API's messages as protobuf JSON on one line: lowerCamelCase names, enums by name, and every
// plain field present even when it has its default, so that a script need not ask whether it is
// there.
#pragma once

#include <google/protobuf/message.h>

#include <string>

namespace plugind::pluginctl {

std::string ToJson(const google::protobuf::Message& message);

}  // namespace plugind::pluginctl
