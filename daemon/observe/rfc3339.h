// Times as the logs write them. Pure.
#pragma once

#include <string>

#include "daemon/base/clock.h"

namespace plugind::observe {

// "2026-11-20T09:11:21.123456Z"
std::string Rfc3339(WallTime time);

}  // namespace plugind::observe
