#include "plugind/peers.h"

#include <grpcpp/client_context.h>
#include <grpcpp/server_context.h>
#include <grpcpp/support/status.h>

#include <algorithm>

namespace plugind {
namespace {

// What gRPC aborts the process for if it is to be sent. It is no check of what has come.
bool MayBeSent(const grpc::string_ref& value) {
  return std::all_of(value.begin(), value.end(), [](char c) { return c >= ' ' && c <= '~'; });
}

}  // namespace

HostError::HostError(const std::string& question, const grpc::Status& status)
    : std::runtime_error(question + ": " + status.error_message()),
      status_(std::make_shared<const grpc::Status>(status)) {}

HostError::~HostError() = default;

void carry_trace(const grpc::ServerContextBase& served, grpc::ClientContext& call) {
  for (const char* key : {"traceparent", "tracestate"}) {
    const auto [first, last] = served.client_metadata().equal_range(key);
    for (auto each = first; each != last; ++each) {
      const grpc::string_ref& value = each->second;
      if (MayBeSent(value)) call.AddMetadata(key, std::string(value.data(), value.size()));
    }
  }
}

}  // namespace plugind
