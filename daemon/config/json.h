// A plugin's own settings in the form in which Configure hands them over.
#pragma once

#include <cstddef>
#include <functional>
#include <string>

#include "daemon/config/value.h"

namespace plugind::config {

inline constexpr size_t kMaxSettingsBytes = 1024 * 1024;  // as JSON
// Tables and arrays within each other, [config] itself the first: as protobuf messages these are
// three for each, and its parsers stop at 100.
inline constexpr size_t kMaxSettingsNesting = 32;

// `table` as canonical JSON: sorted keys, no spaces, dates and times as RFC 3339 strings. What
// google.protobuf.Struct cannot say (nan, inf, integers that a double rounds) and what is nested
// too deep is reported to `reject` with its place.
std::string SettingsAsJson(const Table& table,
                           const std::function<void(Position at, std::string message)>& reject);

}  // namespace plugind::config
