// The two messages of gRPC's server reflection that the host needs. By hand: the generated ones are
// in the library that the control server's own reflection comes from, which ships no header for
// them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "daemon/base/status.h"

namespace plugind::rpc {

inline constexpr char kReflection[] =
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo";

// ServerReflectionRequest{list_services: "*"}.
std::string ListServicesRequest();
// The services that a ServerReflectionResponse names, sorted, without those of gRPC itself. Bytes
// of an untrusted program: ≤ 256 names of ≤ 256 bytes, ≤ 16 KiB in all; the rest is left out.
absl::StatusOr<std::vector<std::string>> ParseListServicesResponse(const std::string& bytes);

}  // namespace plugind::rpc
