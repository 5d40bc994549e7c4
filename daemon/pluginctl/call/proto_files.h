// The types of .proto files on disk, for plugins that have no reflection.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "daemon/pluginctl/call/schema.h"

namespace plugind::pluginctl {

// `folders` are where imports are looked for, and the files themselves; a file that lies in none of
// them is found by its own folder. google/protobuf/*.proto are built in.
std::unique_ptr<Schema> ReadProtoFiles(const std::vector<std::string>& files,
                                       const std::vector<std::string>& folders);

}  // namespace plugind::pluginctl
