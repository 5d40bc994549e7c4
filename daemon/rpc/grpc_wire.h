// What gRPC puts on top of HTTP/2, from the client's side: length-prefixed messages, and a call's
// status out of headers, trailers and reset codes. Bytes of an untrusted plugin; pure.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "daemon/base/clock.h"
#include "daemon/base/status.h"

namespace plugind::rpc {

// `message` with its prefix: one byte "not compressed" and four of length.
std::string Framed(std::string_view message);

// The value of a grpc-timeout header: at most eight digits and a unit; never less than 1 ms.
std::string TimeoutHeader(Duration timeout);

// Puts one stream's messages together out of chunks of any size.
class MessageAssembler {
 public:
  // As gRPC's own default.
  static constexpr size_t kMaxMessage = size_t{4} * 1024 * 1024;

  // Calls `message` with each one that is complete now. The first error is final.
  absl::Status Add(std::string_view chunk, const std::function<void(std::string)>& message);
  // Whether a message has begun and not ended.
  bool partial() const { return !bytes_.empty(); }

 private:
  std::string bytes_;
};

// What a response said of its outcome.
class ResponseStatus {
 public:
  // A header or trailer field, in lower case as HTTP/2 demands.
  void TakeField(std::string_view name, std::string_view value);
  // The outcome when the stream has closed with this HTTP/2 error code.
  absl::Status Outcome(uint32_t http2_error) const;

 private:
  int http_ = 0;
  std::optional<int> grpc_;
  std::string message_;  // decoded
};

}  // namespace plugind::rpc
