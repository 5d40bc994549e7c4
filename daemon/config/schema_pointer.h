// JSON pointers, as the fragment of a "$ref" has them: `/definitions/a~1b`, with %XX for any byte.
#pragma once

#include <nlohmann/json.hpp>
#include <string_view>

namespace plugind::config::schema {

// What `pointer` leads to in `document`, or null. Empty: the document itself; otherwise it begins
// with '/'.
const nlohmann::json* Follow(const nlohmann::json& document, std::string_view pointer);

}  // namespace plugind::config::schema
