// The keeper's few lines on stderr: text on a terminal, one JSON object a line otherwise, as
// plugind's own.
#pragma once

#include <string_view>

namespace plugind::keeper {

void Log(std::string_view level, std::string_view message);

}  // namespace plugind::keeper
