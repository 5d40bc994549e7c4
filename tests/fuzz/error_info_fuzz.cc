// The C++ SDK's reader of google.rpc.ErrorInfo, which it parses by hand: whatever details a status
// carries, it finds in them nothing that is not there, and only what says that it is plugind's.

#include <grpcpp/support/status.h>

#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "plugind/client.h"

namespace {

void Require(bool holds) {
  if (!holds) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string details(reinterpret_cast<const char*>(data), size);
  const grpc::Status status(grpc::StatusCode::UNAVAILABLE, "", details);
  const auto found = plugind::error_info(status);
  if (!found) return 0;
  const std::string_view text = details;
  Require(text.find("google.rpc.ErrorInfo") != std::string_view::npos);
  Require(text.find("plugind") != std::string_view::npos);
  Require(text.find(found->reason) != std::string_view::npos);
  for (const auto& [key, value] : found->metadata) {
    Require(text.find(key) != std::string_view::npos);
    Require(text.find(value) != std::string_view::npos);
  }
  // What comes behind must not matter to what was found: fields of others are passed over.
  const grpc::Status longer(grpc::StatusCode::UNAVAILABLE, "", details + "\x22\x01x");
  const auto again = plugind::error_info(longer);
  Require(again.has_value() && again->reason == found->reason &&
          again->metadata == found->metadata);
  return 0;
}
