// The types of a plugin as its reflection describes them.
#pragma once

#include <memory>

#include "daemon/pluginctl/call/reflection.h"
#include "daemon/pluginctl/call/schema.h"

namespace plugind::pluginctl {

// The arguments are those of Reflection.
std::unique_ptr<Schema> ReflectSchema(Connection& connection,
                                      std::shared_ptr<grpc::Channel> channel, Metadata metadata,
                                      Deadline deadline);

}  // namespace plugind::pluginctl
