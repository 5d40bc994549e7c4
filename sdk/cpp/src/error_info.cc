// google.rpc.Status, Any and ErrorInfo are read by hand. Compiled in as generated code, they would
// be registered a second time in every program that has google/rpc/*.proto itself, which aborts it.
#include <grpcpp/support/status.h>

#include <cstdint>
#include <string_view>
#include <utility>

#include "plugind/client.h"

namespace plugind {
namespace {

// A message's fields in Protocol Buffers' wire format, one after the other, as views of its bytes.
class Fields {
 public:
  explicit Fields(std::string_view message) : rest_(message) {}

  // False at the end, and for good where the message is malformed.
  bool Next() {
    if (rest_.empty() || malformed_) return false;
    const uint64_t tag = Varint();
    number_ = tag >> 3;
    bytes_ = {};
    is_bytes_ = (tag & 7) == kBytes;
    switch (tag & 7) {
      case kVarint:
        Varint();
        break;
      case kFixed64:
        Take(8);
        break;
      case kBytes:
        bytes_ = Take(Varint());
        break;
      case kFixed32:
        Take(4);
        break;
      default:  // groups, which none of these messages has ever had
        malformed_ = true;
    }
    return !malformed_;
  }

  // Whether the field at hand is this string or message.
  bool Is(uint64_t number) const { return is_bytes_ && number_ == number; }
  std::string_view bytes() const { return bytes_; }
  bool malformed() const { return malformed_; }

 private:
  enum WireType : uint64_t {
    kVarint = 0,
    kFixed64 = 1,
    kBytes = 2,
    kFixed32 = 5
  };

  uint64_t Varint() {
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64 && !rest_.empty(); shift += 7) {
      const auto byte = static_cast<uint8_t>(rest_.front());
      rest_.remove_prefix(1);
      value |= uint64_t{byte & 0x7fU} << shift;
      if (byte < 0x80) return value;
    }
    malformed_ = true;
    return 0;
  }

  std::string_view Take(uint64_t size) {
    if (malformed_ || size > rest_.size()) {
      malformed_ = true;
      return {};
    }
    const std::string_view taken = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return taken;
  }

  std::string_view rest_;
  uint64_t number_ = 0;
  std::string_view bytes_;
  bool is_bytes_ = false;
  bool malformed_ = false;
};

bool IsErrorInfo(std::string_view type_url) {
  return type_url.substr(type_url.rfind('/') + 1) == "google.rpc.ErrorInfo";
}

// Nothing if it is another domain's, or malformed.
std::optional<ErrorInfo> ParseErrorInfo(std::string_view message) {
  ErrorInfo info;
  std::string_view domain;
  Fields field(message);
  while (field.Next()) {
    if (field.Is(1)) info.reason = field.bytes();
    if (field.Is(2)) domain = field.bytes();
    if (field.Is(3)) {
      std::string_view key;
      std::string_view value;
      Fields entry(field.bytes());
      while (entry.Next()) {
        if (entry.Is(1)) key = entry.bytes();
        if (entry.Is(2)) value = entry.bytes();
      }
      if (entry.malformed()) return std::nullopt;
      info.metadata[std::string(key)] = value;
    }
  }
  if (field.malformed() || domain != "plugind") return std::nullopt;
  return info;
}

std::optional<ErrorInfo> ParseAny(std::string_view message) {
  std::string_view type_url;
  std::string_view value;
  Fields field(message);
  while (field.Next()) {
    if (field.Is(1)) type_url = field.bytes();
    if (field.Is(2)) value = field.bytes();
  }
  if (field.malformed() || !IsErrorInfo(type_url)) return std::nullopt;
  return ParseErrorInfo(value);
}

}  // namespace

std::optional<ErrorInfo> error_info(const grpc::Status& status) {
  const std::string details = status.error_details();
  std::optional<ErrorInfo> found;
  Fields field(details);
  while (field.Next()) {
    if (field.Is(3) && !found) found = ParseAny(field.bytes());
  }
  if (field.malformed()) return std::nullopt;
  return found;
}

}  // namespace plugind
