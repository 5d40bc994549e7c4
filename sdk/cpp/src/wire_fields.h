// What is read of messages that the SDK has no generated code for: compiled in, that would be
// registered a second time in every program that has the same .proto itself, which aborts it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace plugind::sdk {

// A message's fields in Protocol Buffers' wire format, one after the other, as views of its bytes.
class WireFields {
 public:
  explicit WireFields(std::string_view message) : rest_(message) {}

  // False at the end, and for good where the message is malformed.
  bool Next() {
    if (rest_.empty() || malformed_) return false;
    const uint64_t tag = Varint();
    number_ = tag >> 3;
    bytes_ = {};
    varint_ = 0;
    is_bytes_ = (tag & 7) == kBytes;
    switch (tag & 7) {
      case kVarint:
        varint_ = Varint();
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

  // Whether the field at hand is this string or message, which bytes() then has.
  bool Is(uint64_t number) const { return is_bytes_ && number_ == number; }
  std::string_view bytes() const { return bytes_; }
  uint64_t number() const { return number_; }
  // Of a field of integers; 0 for all others.
  uint64_t varint() const { return varint_; }
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
  uint64_t varint_ = 0;
  bool is_bytes_ = false;
  bool malformed_ = false;
};

// The entry of a map<string, string>; false if it is malformed.
inline bool ReadEntry(std::string_view message, std::pair<std::string, std::string>& entry) {
  WireFields field(message);
  while (field.Next()) {
    if (field.Is(1)) entry.first = field.bytes();
    if (field.Is(2)) entry.second = field.bytes();
  }
  return !field.malformed();
}

}  // namespace plugind::sdk
