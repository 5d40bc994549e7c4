// A bounded binary codec for our own processes: little-endian integers and length-prefixed strings.
// Reading never goes past the end; the first bad field makes ok() false and every later read return
// zero or empty. Allocation: one string per Writer. Thread safety: none needed, values only.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace plugind {

static_assert(std::endian::native == std::endian::little, "the codec copies integers as they lie");

class Writer {
 public:
  template <typename T>
  requires std::is_integral_v<T> || std::is_enum_v<T> Writer& Put(T value) {
    bytes_.append(reinterpret_cast<const char*>(&value), sizeof value);
    return *this;
  }
  Writer& Put(std::string_view text) {
    Put(static_cast<uint32_t>(text.size()));
    bytes_.append(text);
    return *this;
  }
  Writer& Put(const std::string& text) { return Put(std::string_view(text)); }
  Writer& Put(const char* text) { return Put(std::string_view(text)); }
  template <typename T>
  Writer& Put(const std::vector<T>& values) {
    Put(static_cast<uint32_t>(values.size()));
    for (const auto& value : values) Put(value);
    return *this;
  }

  const std::string& bytes() const { return bytes_; }
  std::string Take() { return std::move(bytes_); }

 private:
  std::string bytes_;
};

class Reader {
 public:
  explicit Reader(std::string_view bytes) : rest_(bytes) {}

  template <typename T>
  requires std::is_integral_v<T> || std::is_enum_v<T> T Get() {
    std::remove_cv_t<T> value{};
    if (rest_.size() < sizeof value) return Fail(), T{};
    std::memcpy(&value, rest_.data(), sizeof value);
    rest_.remove_prefix(sizeof value);
    return value;
  }
  std::string_view GetView() {
    const auto size = Get<uint32_t>();
    if (!ok_ || size > rest_.size()) return Fail(), std::string_view();
    const auto text = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return text;
  }
  std::string GetString() { return std::string(GetView()); }
  std::vector<std::string> GetStrings() {
    const auto count = Get<uint32_t>();
    std::vector<std::string> all;
    for (uint32_t i = 0; ok_ && i < count; ++i) all.push_back(GetString());
    return all;
  }
  template <typename T>
  std::vector<T> GetIntegers() {
    const auto count = Get<uint32_t>();
    std::vector<T> all;
    for (uint32_t i = 0; ok_ && i < count; ++i) all.push_back(Get<T>());
    return all;
  }

  bool ok() const { return ok_; }
  // Whether all was read and nothing is left over.
  bool Done() const { return ok_ && rest_.empty(); }

 private:
  void Fail() {
    ok_ = false;
    rest_ = {};
  }
  std::string_view rest_;
  bool ok_ = true;
};

}  // namespace plugind
