// The host's side of the negotiation, for testing::FakeHost: which of its capabilities and of the
// plugin's are agreed, and with what version. The rule is the one at Capability in plugin.proto. A
// pure function.
#pragma once

#include <google/protobuf/repeated_field.h>

#include <map>
#include <string>
#include <vector>

#include "plugind/plugin/v1/plugin.pb.h"
#include "sdk/cpp/src/capabilities.h"

namespace plugind::sdk {

std::map<std::string, std::string> Agree(
    const std::vector<Capability>& host,
    const google::protobuf::RepeatedPtrField<plugin::v1::Capability>& plugin);

}  // namespace plugind::sdk
