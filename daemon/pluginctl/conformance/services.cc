#include "daemon/pluginctl/conformance/services.h"

#include <grpc/reflection/v1/reflection.pb.h>

namespace plugind::pluginctl::conformance {
namespace {

using grpc::reflection::v1::ServerReflectionRequest;
using grpc::reflection::v1::ServerReflectionResponse;

absl::StatusOr<ServerReflectionResponse> Ask(Instance& instance,
                                             const ServerReflectionRequest& request) {
  grpc::Status status;
  for (const char* version : {"v1", "v1alpha"}) {
    std::string bytes;
    status = instance.CallUnary(
        fmt::format("/grpc.reflection.{}.ServerReflection/ServerReflectionInfo", version),
        request.SerializeAsString(), &bytes);
    if (status.error_code() == grpc::StatusCode::UNIMPLEMENTED) continue;
    if (!status.ok())
      return Error(absl::StatusCode::kUnavailable, "reflection ended with {}", Words(status));
    ServerReflectionResponse response;
    if (!response.ParseFromString(bytes))
      return Error(absl::StatusCode::kDataLoss, "reflection answered with something else");
    if (response.has_error_response())
      return Error(absl::StatusCode::kNotFound, "reflection answered: {}",
                   response.error_response().error_message());
    return response;
  }
  return absl::UnimplementedError("it serves no reflection");
}

}  // namespace

absl::StatusOr<std::vector<std::string>> ListServices(Instance& instance) {
  ServerReflectionRequest request;
  request.set_list_services("*");
  ASSIGN_OR_RETURN(const auto response, Ask(instance, request));
  std::vector<std::string> services;
  for (const auto& each : response.list_services_response().service())
    services.push_back(each.name());
  return services;
}

absl::Status Describe(Instance& instance, const std::string& service) {
  ServerReflectionRequest request;
  request.set_file_containing_symbol(service);
  ASSIGN_OR_RETURN(const auto response, Ask(instance, request));
  if (response.file_descriptor_response().file_descriptor_proto().empty())
    return absl::NotFoundError("the answer is empty");
  return absl::OkStatus();
}

bool IsInfrastructure(const std::string& service) {
  for (const std::string_view package : {"grpc.", "plugin.", "plugind."})
    if (service.starts_with(package)) return true;
  return false;
}

}  // namespace plugind::pluginctl::conformance
