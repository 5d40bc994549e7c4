// What only shows when all plugin files are seen together: names that are taken twice, and `after`
// that leads nowhere or in a circle.
#pragma once

#include <vector>

#include "daemon/config/files.h"

namespace plugind::config {

// `files` in order of their names: the later one of two is at fault.
void CheckAcross(const std::vector<PluginFile>& files, std::vector<Problem>* problems);

}  // namespace plugind::config
