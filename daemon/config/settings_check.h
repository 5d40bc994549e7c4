// Holds each plugin's [config] table to its schema, when the files are loaded.
#pragma once

#include <vector>

#include "daemon/config/files.h"
#include "daemon/config/load.h"

namespace plugind::config {

// Adds what does not fit to `problems`, and to `notes` which schemas were passed over and why.
void CheckSettings(const PluginFile& file, const SchemaSources& schemas,
                   std::vector<Problem>* problems, std::vector<Problem>* notes);

}  // namespace plugind::config
