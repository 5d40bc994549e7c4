// What a plugin says of itself, judged without it: --plugind-info, and the answer to Negotiate.
// Pure.
#pragma once

#include <google/protobuf/struct.pb.h>

#include <optional>
#include <string>

#include "plugind/plugin/v1/plugin.pb.h"

namespace plugind::pluginctl::conformance {

// Each says what is wrong; empty: nothing.
std::string WrongDescription(const std::string& text);
std::string BeyondBounds(const plugin::v1::NegotiateResponse& response);
std::string WrongNames(const plugin::v1::NegotiateResponse& response);
std::string WrongSchema(const std::string& schema);

// Settings that `schema` does not allow, made from some that it does. Nothing, where it is not
// plain how.
std::optional<google::protobuf::Struct> Violate(const std::string& schema,
                                                const google::protobuf::Struct& allowed);

}  // namespace plugind::pluginctl::conformance
