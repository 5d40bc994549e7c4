// Small files, whole.
#pragma once

#include <absl/status/statusor.h>

#include <string>

namespace plugind::pluginctl {

absl::StatusOr<std::string> ReadFile(const std::string& path);

// In one step: whoever reads it meanwhile gets the old text or the new one.
absl::Status WriteFile(const std::string& path, const std::string& text);

}  // namespace plugind::pluginctl
