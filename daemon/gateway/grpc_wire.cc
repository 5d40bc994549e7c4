#include "daemon/gateway/grpc_wire.h"

#include <nghttp2/nghttp2.h>

#include <charconv>

namespace plugind::gateway {
namespace {

constexpr size_t kTimeoutDigits = 8;
constexpr int64_t kMaxTimeoutValue = 99'999'999;

struct Unit {
  char letter;
  Duration length;
};
constexpr Unit kUnits[] = {
    {'n', std::chrono::nanoseconds(1)},  {'u', std::chrono::microseconds(1)},
    {'m', std::chrono::milliseconds(1)}, {'S', std::chrono::seconds(1)},
    {'M', std::chrono::minutes(1)},      {'H', std::chrono::hours(1)},
};

// Protocol Buffers' wire format, as much of it as two small messages need.
void PutVarint(std::string& out, uint64_t value) {
  for (; value >= 0x80; value >>= 7) out.push_back(static_cast<char>(value | 0x80));
  out.push_back(static_cast<char>(value));
}
void PutBytes(std::string& out, int field, std::string_view bytes) {
  constexpr int kLengthDelimited = 2;
  PutVarint(out, static_cast<uint64_t>(field << 3 | kLengthDelimited));
  PutVarint(out, bytes.size());
  out.append(bytes);
}

std::string Base64(std::string_view bytes) {
  static constexpr char kAlphabet[] =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  out.reserve(bytes.size() * 4 / 3 + 3);
  uint32_t bits = 0;
  int count = 0;
  for (const char c : bytes) {
    bits = bits << 8 | static_cast<uint8_t>(c);
    count += 8;
    while (count >= 6) {
      count -= 6;
      out.push_back(kAlphabet[bits >> count & 63]);
    }
  }
  if (count > 0) out.push_back(kAlphabet[bits << (6 - count) & 63]);
  return out;  // gRPC wants no padding
}

}  // namespace

std::optional<Duration> ParseTimeout(std::string_view text) {
  if (text.size() < 2 || text.size() > kTimeoutDigits + 1) return std::nullopt;
  int64_t value = 0;
  const char* end = text.data() + text.size() - 1;
  if (text.front() == '-') return std::nullopt;
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || stop != end) return std::nullopt;
  for (const Unit& unit : kUnits) {
    if (unit.letter != *end) continue;
    // Hours can exceed what nanoseconds in 64 bits hold: such a deadline is none.
    const int64_t longest = Duration::max().count() / unit.length.count();
    return value > longest ? Duration::max() : unit.length * value;
  }
  return std::nullopt;
}

std::string FormatTimeout(Duration timeout) {
  if (timeout < Duration::zero()) timeout = Duration::zero();
  for (const Unit& unit : kUnits) {
    const int64_t value = timeout / unit.length;
    if (value <= kMaxTimeoutValue) return std::to_string(value) + unit.letter;
  }
  return std::to_string(kMaxTimeoutValue) + "H";
}

std::string PercentEncode(std::string_view text) {
  static constexpr char kHex[] = "0123456789ABCDEF";
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    const auto byte = static_cast<uint8_t>(c);
    if (byte >= 0x20 && byte < 0x7f && c != '%') {
      out.push_back(c);
    } else {
      out.push_back('%');
      out.push_back(kHex[byte >> 4]);
      out.push_back(kHex[byte & 15]);
    }
  }
  return out;
}

std::string EncodeErrorInfo(Code code, std::string_view message, std::string_view reason,
                            const std::vector<std::pair<std::string, std::string>>& metadata) {
  std::string info;
  PutBytes(info, 1, reason);
  PutBytes(info, 2, "plugind");
  for (const auto& [key, value] : metadata) {
    std::string entry;
    PutBytes(entry, 1, key);
    PutBytes(entry, 2, value);
    PutBytes(info, 3, entry);
  }
  std::string any;
  PutBytes(any, 1, "type.googleapis.com/google.rpc.ErrorInfo");
  PutBytes(any, 2, info);
  std::string status;
  PutVarint(status, 1 << 3);
  PutVarint(status, static_cast<uint64_t>(code));
  PutBytes(status, 2, message);
  PutBytes(status, 3, any);
  return Base64(status);
}

Code CodeOfReset(uint32_t http2_error) {
  switch (http2_error) {
    case NGHTTP2_REFUSED_STREAM:
      return Code::kUnavailable;
    case NGHTTP2_CANCEL:
      return Code::kCancelled;
    case NGHTTP2_ENHANCE_YOUR_CALM:
      return Code::kResourceExhausted;
    case NGHTTP2_INADEQUATE_SECURITY:
      return Code::kPermissionDenied;
    default:
      return Code::kInternal;
  }
}

}  // namespace plugind::gateway
