// A file's bytes to a tree of values. The only part that knows toml++.
#pragma once

#include <string_view>
#include <variant>

#include "daemon/config/screen.h"
#include "daemon/config/value.h"

namespace plugind::config {

// The document, or the first thing that keeps it from being one: after a syntax error there is no
// telling what the rest means.
std::variant<Table, Objection> ParseDocument(std::string_view text);

}  // namespace plugind::config
