// Standard output: data only, whole lines, buffered until Flush. A reader that has gone away ends
// the program quietly with 0, as it does for journalctl: it had what it wanted. One thread.
#pragma once

#include <string>
#include <string_view>

namespace plugind::pluginctl {

class Output {
 public:
  Output() = default;
  Output(const Output&) = delete;
  Output& operator=(const Output&) = delete;
  ~Output() { Flush(); }

  void Write(std::string_view text) {
    buffer_ += text;
    if (buffer_.size() >= kFlushAt) Flush();
  }
  // Ends the program with 1 and a message when stdout cannot be written (a full disk).
  void Flush();

  // From now on ends the program as soon as the reader of stdout is gone, even while there is
  // nothing to write.
  void EndWithReader();

 private:
  static constexpr size_t kFlushAt = 64 * 1024;
  std::string buffer_;
};

}  // namespace plugind::pluginctl
