// Whether a stream is a terminal, and what may be done with it.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace plugind::pluginctl {

enum class Colour {
  kNone,
  kBold,
  kDim,
  kRed,
  kGreen,
  kYellow,
  kBlue,
  kCyan,
};

struct Terminal {
  bool is_terminal = false;
  bool colour = false;  // never with NO_COLOR set to something or TERM=dumb
  bool cursor = false;  // lines may be overwritten: a terminal, and not TERM=dumb
  size_t columns = 0;   // 0: not a terminal, nothing is cut
  size_t lines = 0;     // 0: not a terminal, or it does not say

  std::string Paint(Colour with, std::string_view text) const;
};

Terminal InspectTerminal(int fd);

}  // namespace plugind::pluginctl
