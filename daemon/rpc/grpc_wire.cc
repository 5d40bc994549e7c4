#include "daemon/rpc/grpc_wire.h"

#include <nghttp2/nghttp2.h>

#include <algorithm>
#include <charconv>

namespace plugind::rpc {
namespace {

using absl::StatusCode;

constexpr size_t kPrefix = 5;
// Of a status's text: it becomes a reason, which people read.
constexpr size_t kMaxStatusText = 1024;

std::optional<int> Number(std::string_view text) {
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// gRPC writes what is not printable ASCII, and the percent sign, as %XX.
std::string PercentDecoded(std::string_view text) {
  std::string decoded;
  for (size_t i = 0; i < text.size() && decoded.size() < kMaxStatusText; ++i) {
    unsigned byte = 0;
    if (text[i] == '%' && i + 2 < text.size() &&
        std::from_chars(text.data() + i + 1, text.data() + i + 3, byte, 16).ptr ==
            text.data() + i + 3) {
      decoded += static_cast<char>(byte);
      i += 2;
    } else {
      decoded += text[i];
    }
  }
  return decoded;
}

// gRPC over HTTP/2, "Errors": what an answer without a grpc-status counts as.
StatusCode FromReset(uint32_t error) {
  switch (error) {
    case NGHTTP2_REFUSED_STREAM:
      return StatusCode::kUnavailable;
    case NGHTTP2_CANCEL:
      return StatusCode::kCancelled;
    case NGHTTP2_ENHANCE_YOUR_CALM:
      return StatusCode::kResourceExhausted;
    case NGHTTP2_INADEQUATE_SECURITY:
      return StatusCode::kPermissionDenied;
    default:
      return StatusCode::kInternal;
  }
}

StatusCode FromHttp(int status) {
  switch (status) {
    case 400:
      return StatusCode::kInternal;
    case 401:
      return StatusCode::kUnauthenticated;
    case 403:
      return StatusCode::kPermissionDenied;
    case 404:
      return StatusCode::kUnimplemented;
    case 429:
    case 502:
    case 503:
    case 504:
      return StatusCode::kUnavailable;
    default:
      return StatusCode::kUnknown;
  }
}

}  // namespace

std::string Framed(std::string_view message) {
  const auto size = static_cast<uint32_t>(message.size());
  std::string framed(1, '\0');
  for (const int shift : {24, 16, 8, 0}) framed += static_cast<char>((size >> shift) & 0xffU);
  return framed.append(message);
}

std::string TimeoutHeader(Duration timeout) {
  constexpr int64_t kEightDigits = 99'999'999;
  const auto ms = std::chrono::ceil<std::chrono::milliseconds>(timeout).count();
  if (ms <= kEightDigits) return fmt::format("{}m", std::max<int64_t>(ms, 1));
  return fmt::format("{}S", std::min<int64_t>(ms / 1000, kEightDigits));
}

absl::Status MessageAssembler::Add(std::string_view chunk,
                                   const std::function<void(std::string)>& message) {
  bytes_.append(chunk);
  size_t at = 0;
  while (bytes_.size() - at >= kPrefix) {
    if (bytes_[at] != '\0') {
      return absl::InternalError("a compressed message, though no compression was offered");
    }
    size_t size = 0;
    for (size_t i = 1; i < kPrefix; ++i) {
      size = (size << 8U) | static_cast<unsigned char>(bytes_[at + i]);
    }
    if (size > kMaxMessage) {
      return Error(StatusCode::kResourceExhausted, "a message of {} bytes; at most {} are taken",
                   size, kMaxMessage);
    }
    if (bytes_.size() - at < kPrefix + size) break;
    message(bytes_.substr(at + kPrefix, size));
    at += kPrefix + size;
  }
  bytes_.erase(0, at);
  return absl::OkStatus();
}

void ResponseStatus::TakeField(std::string_view name, std::string_view value) {
  if (name == ":status") http_ = Number(value).value_or(0);
  if (name == "grpc-status") grpc_ = Number(value).value_or(-1);
  if (name == "grpc-message") message_ = PercentDecoded(value);
}

absl::Status ResponseStatus::Outcome(uint32_t http2_error) const {
  constexpr int kLastCode = static_cast<int>(StatusCode::kUnauthenticated);
  if (grpc_) {
    if (*grpc_ == 0) return absl::OkStatus();
    const bool known = *grpc_ > 0 && *grpc_ <= kLastCode;
    return absl::Status(known ? static_cast<StatusCode>(*grpc_) : StatusCode::kUnknown, message_);
  }
  if (http2_error != NGHTTP2_NO_ERROR) {
    return Error(FromReset(http2_error), "the plugin reset the stream: {}",
                 nghttp2_http2_strerror(http2_error));
  }
  constexpr int kHttpOk = 200;
  if (http_ != kHttpOk) return Error(FromHttp(http_), "HTTP status {}", http_);
  return absl::UnknownError("the answer ended without a grpc-status");
}

}  // namespace plugind::rpc
