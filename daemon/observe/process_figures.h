// What this process costs, as /proc says it.
#pragma once

#include <cstdint>

namespace plugind::observe {

struct ProcessFigures {
  double cpu_seconds = 0;  // user and system
  uint64_t resident_bytes = 0;
  uint64_t virtual_bytes = 0;
  uint64_t open_fds = 0;
  uint64_t max_fds = 0;  // the soft limit
  uint64_t threads = 0;
};

// What cannot be read is 0.
ProcessFigures ReadProcessFigures();

}  // namespace plugind::observe
