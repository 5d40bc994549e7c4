// Writes whole lines to an fd that others may share, without ever waiting for its reader. One
// thread at a time.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "daemon/base/unique_fd.h"

namespace plugind::observe {

class LineWriter {
 public:
  // `fd` stays its owner's. Its file is opened anew where that gives a way to write without
  // waiting.
  explicit LineWriter(int fd);

  // Whether the line, which ends in a newline, was taken. A line that was taken in part is finished
  // before the next.
  bool Write(std::string_view line);

 private:
  enum class Kind {
    kReopened,  // a pipe or a terminal, opened again as non-blocking
    kSocket,
    kOther,  // files, and what cannot be opened again
  };
  // How many bytes went; 0 when none can go now.
  size_t WriteSome(std::string_view bytes);

  const int fd_;
  Kind kind_ = Kind::kOther;
  UniqueFd reopened_;
  std::string rest_;  // of a line that was taken in part; never more than one line
};

}  // namespace plugind::observe
