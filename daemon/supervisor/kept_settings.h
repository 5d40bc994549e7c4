// The settings that a plugin took last, kept with the keeper: if it dies after it has refused newer
// ones, its next process is handed these, also by another plugind. Pure functions over a memfd.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "daemon/base/unique_fd.h"

namespace plugind::supervisor {

inline constexpr char kSettingsFdPrefix[] = "settings:";  // of the names that the keeper knows
std::string SettingsFdName(std::string_view plugin);

// A sealed copy. Invalid (errno says why) where there is no memory or no fd.
UniqueFd KeepSettings(const std::string& json);
// Empty if it is no such copy.
std::string ReadKeptSettings(const UniqueFd& memory);

// Never 0.
uint64_t SettingsFingerprint(std::string_view json);

}  // namespace plugind::supervisor
