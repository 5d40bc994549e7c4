// The services of a plugin as its reflection tells them: v1, else v1alpha.
#pragma once

#include <string>
#include <vector>

#include "daemon/base/status.h"
#include "daemon/pluginctl/conformance/instance.h"

namespace plugind::pluginctl::conformance {

// Unimplemented: it has no reflection.
absl::StatusOr<std::vector<std::string>> ListServices(Instance& instance);
// OK when reflection has the file with that service.
absl::Status Describe(Instance& instance, const std::string& service);

// Services of the machinery, which every plugin has: not what it is there for.
bool IsInfrastructure(const std::string& service);

}  // namespace plugind::pluginctl::conformance
