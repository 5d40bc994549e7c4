// OutputBuffer holds what was printed and not yet read: bounded, the oldest lines go first, and
// what went is counted and said to the reader in its place. Thread safety: none.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace plugind::sdk {

class OutputBuffer {
 public:
  // `capacity` in bytes.
  explicit OutputBuffer(size_t capacity) : capacity_(capacity) {}

  void Append(std::string_view data);

  // The oldest bytes, at most `limit`; "" if there are none. A loss since the last Take comes
  // first, as a line of its own, whatever the limit.
  std::string Take(size_t limit);

  bool empty() const { return begin_ == data_.size() && lost_ == 0; }
  uint64_t dropped() const { return dropped_; }

 private:
  void Drop(size_t count);

  const size_t capacity_;
  std::string data_;
  size_t begin_ = 0;      // data_ before this has been taken
  uint64_t lost_ = 0;     // dropped since the last Take
  uint64_t dropped_ = 0;  // dropped ever
};

}  // namespace plugind::sdk
