#include "daemon/gateway/metadata.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <random>

namespace plugind::gateway {
namespace {

using namespace std::string_view_literals;

// What may stand in a name and in a value, by character.
struct Alphabet {
  std::array<bool, 256> in_name{};
  std::array<bool, 256> in_value{};
  constexpr Alphabet() {
    for (size_t c = 0; c < 256; ++c) {
      in_name[c] =
          (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '.';
      // Printable ASCII. HTTP/2 would let through more (RFC 9110's obs-text); gRPC does not.
      in_value[c] = c >= 0x20 && c <= 0x7e;
    }
  }
};
constexpr Alphabet kAlphabet;

bool IsName(std::string_view name) {
  for (const char c : name) {
    if (!kAlphabet.in_name[static_cast<uint8_t>(c)]) return false;
  }
  return !name.empty();
}
bool IsValue(std::string_view value) {
  for (const char c : value) {
    if (!kAlphabet.in_value[static_cast<uint8_t>(c)]) return false;
  }
  return true;
}

bool IsHex(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}
bool IsZero(std::string_view text) { return text.find_first_not_of('0') == std::string_view::npos; }

void PutHex(std::string& out, size_t at, uint64_t value) {
  static constexpr char kHex[] = "0123456789abcdef";
  for (size_t digit = at + 16; digit-- > at; value >>= 4) out[digit] = kHex[value & 15];
}

constexpr size_t kTraceparentSize = 55;  // 00-{32}-{16}-{2}

}  // namespace

HeaderKind Classify(std::string_view name, std::string_view value) {
  if (name.starts_with(':')) return HeaderKind::kConsumed;
  if (!IsName(name) || !IsValue(value)) return HeaderKind::kIllegal;
  // Every header of every call comes by here: one comparison at most.
  switch (name.size()) {
    case 2:
      if (name == "te"sv) return HeaderKind::kConsumed;
      break;
    case 4:
      if (name == "host"sv) return HeaderKind::kConsumed;
      break;
    case 7:
      if (name == "upgrade"sv) return HeaderKind::kHop;
      break;
    case 10:
      if (name == "connection"sv || name == "keep-alive"sv) return HeaderKind::kHop;
      break;
    case 11:
      if (name == "traceparent"sv) return HeaderKind::kConsumed;
      break;
    case 12:
      if (name == "grpc-timeout"sv) return HeaderKind::kConsumed;
      break;
    case 14:
      if (name == "content-length"sv) return HeaderKind::kHop;
      break;
    case 16:
      if (name == "proxy-connection"sv) return HeaderKind::kHop;
      break;
    case 17:
      if (name == "transfer-encoding"sv) return HeaderKind::kHop;
      break;
    default:
      break;
  }
  return name.starts_with("plugind-"sv) ? HeaderKind::kReserved : HeaderKind::kPass;
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
  std::string out(kTraceparentSize, '0');
  out[2] = out[35] = out[52] = '-';
  out[54] = '1';  // sampled
  PutHex(out, 3, random());
  PutHex(out, 19, random() | 1);
  PutHex(out, 36, random() | 1);
  return out;
}

std::string_view TraceId(std::string_view traceparent) { return traceparent.substr(3, 32); }

}  // namespace plugind::gateway
