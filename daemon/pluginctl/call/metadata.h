// The metadata of a call as the user gives it. gRPC aborts the process on what HTTP/2 forbids, so
// nothing reaches it unchecked.
#pragma once

#include <grpcpp/grpcpp.h>

#include <string>
#include <utility>
#include <vector>

namespace plugind::pluginctl {

// To plugind: which plugin a call is for. From it, where a plugin was lost: whether the call may
// have been executed, "no" or "maybe".
inline constexpr const char* kPluginKey = "plugind-plugin";
inline constexpr const char* kExecutedKey = "plugind-executed";

using Metadata = std::vector<std::pair<std::string, std::string>>;

// Takes "KEY: VALUE" apart; the value of a key that ends in "-bin" is base64. Returns what is wrong
// with it, or an empty string.
std::string ParseHeader(const std::string& text, Metadata* headers);

// Headers or trailers for a terminal, a line each: "KEY: VALUE", binary ones as base64.
std::string Render(const std::multimap<grpc::string_ref, grpc::string_ref>& metadata,
                   const std::string& prefix);

}  // namespace plugind::pluginctl
