// How a misfit speaks of a value, for people who write TOML: a JSON object is a table to them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/config/schema_node.h"

namespace plugind::config::schema {

// "a string", "a table"; numbers, true, false and null as they are.
std::string KindOf(const Json& value);
// The same, but a string as it is, shortened and made printable.
std::string ShownJson(const Json& value);
// "a string or an integer".
std::string TypeNames(uint8_t types);
// "1 item", "2 items".
std::string Counted(uint64_t count, std::string_view noun);
// "; did you mean …" with the nearest of `known` that need not be escaped, or nothing.
std::string Guess(std::string_view word, std::vector<std::string> known);
// "servers[2].port".
std::string FieldOf(const std::vector<Misfit::Step>& path);

}  // namespace plugind::config::schema
