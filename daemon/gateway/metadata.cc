#include "daemon/gateway/metadata.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <random>

namespace plugind::gateway {
namespace {

bool IsName(std::string_view name) {
  return !name.empty() && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '.';
  });
}

// Printable ASCII. HTTP/2 would let through more (RFC 9110's obs-text); gRPC does not.
bool IsValue(std::string_view value) {
  return std::all_of(value.begin(), value.end(), [](char c) { return c >= 0x20 && c <= 0x7e; });
}

bool IsHex(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}
bool IsZero(std::string_view text) { return text.find_first_not_of('0') == std::string_view::npos; }

void PutHex(std::string& out, uint64_t value) {
  static constexpr char kHex[] = "0123456789abcdef";
  for (int shift = 60; shift >= 0; shift -= 4) out.push_back(kHex[value >> shift & 15]);
}

constexpr size_t kTraceparentSize = 55;  // 00-{32}-{16}-{2}

}  // namespace

HeaderKind Classify(std::string_view name, std::string_view value) {
  if (name.starts_with(':')) return HeaderKind::kConsumed;
  if (!IsName(name) || !IsValue(value)) return HeaderKind::kIllegal;
  if (name.starts_with("plugind-")) return HeaderKind::kReserved;
  for (const std::string_view consumed : {"te", "grpc-timeout", "traceparent", "host"}) {
    if (name == consumed) return HeaderKind::kConsumed;
  }
  for (const std::string_view hop : {"connection", "keep-alive", "proxy-connection",
                                     "transfer-encoding", "upgrade", "content-length"}) {
    if (name == hop) return HeaderKind::kHop;
  }
  return HeaderKind::kPass;
}

bool IsTraceparent(std::string_view value) {
  return value.size() == kTraceparentSize && value.starts_with("00-") && value[35] == '-' &&
         value[52] == '-' && IsHex(value.substr(3, 32)) && IsHex(value.substr(36, 16)) &&
         IsHex(value.substr(53, 2)) && !IsZero(value.substr(3, 32)) &&
         !IsZero(value.substr(36, 16));
}

std::string NewTraceparent() {
  thread_local std::mt19937_64 random = [] {
    std::random_device device;
    std::seed_seq seed{device(), device(), device(), device()};
    return std::mt19937_64(seed);
  }();
  std::string out = "00-";
  out.reserve(kTraceparentSize);
  PutHex(out, random());
  PutHex(out, random() | 1);
  out.push_back('-');
  PutHex(out, random() | 1);
  out += "-01";
  return out;
}

std::string_view TraceId(std::string_view traceparent) { return traceparent.substr(3, 32); }

}  // namespace plugind::gateway
