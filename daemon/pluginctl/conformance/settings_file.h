// A file of settings, as they stand under [config] in a plugin's file: TOML, or JSON where its name
// ends with ".json".
#pragma once

#include <google/protobuf/struct.pb.h>

#include <string>

#include "daemon/base/status.h"

namespace plugind::pluginctl::conformance {

absl::StatusOr<google::protobuf::Struct> ReadSettings(const std::string& path);

}  // namespace plugind::pluginctl::conformance
