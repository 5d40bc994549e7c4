// One thing wrong with the configuration, and where.
#pragma once

#include <cstdint>
#include <string>

namespace plugind::config {

// One thing wrong, e.g. {"/etc/plugind/plugins.d/kv.toml", 3, 1, "unknown key \"comand\"; did you
// mean \"command\"?"}.
struct Problem {
  std::string file;
  uint32_t line = 0;    // from 1; 0: the file as a whole
  uint32_t column = 0;  // from 1, in bytes
  std::string message;

  // "FILE:LINE:COL: MESSAGE", without the parts that are 0.
  std::string ToString() const;
  friend bool operator==(const Problem&, const Problem&) = default;
};

}  // namespace plugind::config
