// gRPC over HTTP/2 as far as a mediator must understand it: timeouts, status codes, messages, rich
// error details. After https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "daemon/base/clock.h"

namespace plugind::gateway {

// The codes that the gateway itself gives.
enum class Code : uint8_t {
  kOk = 0,
  kCancelled = 1,
  kUnknown = 2,
  kInvalidArgument = 3,
  kDeadlineExceeded = 4,
  kNotFound = 5,
  kPermissionDenied = 7,
  kResourceExhausted = 8,
  kFailedPrecondition = 9,
  kUnimplemented = 12,
  kInternal = 13,
  kUnavailable = 14,
};

// "100m" and the like: at most 8 digits and one of H M S m u n. Nothing when malformed.
std::optional<Duration> ParseTimeout(std::string_view text);
// The finest unit that 8 digits can hold; "0n" for what has passed.
std::string FormatTimeout(Duration timeout);

// grpc-message: what is not printable ASCII, and '%', as %XX.
std::string PercentEncode(std::string_view text);

// google.rpc.ErrorInfo of domain "plugind", within a google.rpc.Status, in the base64 that
// grpc-status-details-bin takes.
std::string EncodeErrorInfo(Code code, std::string_view message, std::string_view reason,
                            const std::vector<std::pair<std::string, std::string>>& metadata);

// grpc-status of a stream that the peer reset, by the HTTP/2 error code.
Code CodeOfReset(uint32_t http2_error);

}  // namespace plugind::gateway
