#include "sdk/cpp/src/output_buffer.h"

#include <algorithm>

namespace plugind::sdk {

void OutputBuffer::Append(std::string_view data) {
  data_.append(data);
  const size_t held = data_.size() - begin_;
  if (held <= capacity_) return;
  // Up to the end of a line, so that what stays begins with a whole one; a line longer than the
  // buffer is cut.
  const size_t excess = held - capacity_;
  const size_t newline = data_.find('\n', begin_ + excess - 1);
  Drop(newline == std::string::npos ? excess : newline + 1 - begin_);
}

std::string OutputBuffer::Take(size_t limit) {
  if (lost_ > 0) {
    std::string notice =
        "[" + std::to_string(lost_) + " bytes of output were dropped: nobody read them]\n";
    lost_ = 0;
    return notice;
  }
  std::string taken = data_.substr(begin_, limit);
  begin_ += taken.size();
  if (begin_ >= data_.size() / 2) {
    data_.erase(0, begin_);
    begin_ = 0;
  }
  return taken;
}

void OutputBuffer::Drop(size_t count) {
  data_.erase(0, begin_ + count);
  begin_ = 0;
  lost_ += count;
  dropped_ += count;
}

}  // namespace plugind::sdk
