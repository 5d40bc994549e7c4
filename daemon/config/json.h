// A plugin's own settings in the form in which Configure hands them over.
#pragma once

#include <functional>
#include <string>

#include "daemon/config/value.h"

namespace plugind::config {

// `table` as canonical JSON: sorted keys, no spaces, dates and times as RFC 3339 strings. What JSON
// cannot say (nan, inf) is reported to `reject` with its place.
std::string SettingsAsJson(const Table& table,
                           const std::function<void(Position at, std::string message)>& reject);

}  // namespace plugind::config
