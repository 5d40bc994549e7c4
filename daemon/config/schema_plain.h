// The keywords that look at a value by itself, without another subschema. Each function is true
// when the value fits, tells its visit what does not, and pays for what it reads.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/config/schema_node.h"
#include "daemon/config/schema_visit.h"

namespace plugind::config::schema {

// type, const and enum. Of a value that is another one than was meant nothing else is worth saying.
bool FitsKind(const Node& node, const Json& value, const Visit& visit);
// minimum, maximum, the exclusive ones and multipleOf; `value` is a number.
bool FitsNumber(const Node& node, const Json& value, const Visit& visit);
// minLength, maxLength and pattern.
bool FitsText(const Node& node, const std::vector<Pattern>& patterns, const std::string& text,
              const Visit& visit);
// minItems, minProperties, …: `count` of what `noun` names.
bool FitsBounds(const Bounds& bounds, uint64_t count, std::string_view noun, const Visit& visit);
// uniqueItems; `value` is an array.
bool FitsUnique(const Json& value, const Visit& visit);

// Tells nothing. False too when there are no steps left.
bool Matches(const Pattern& pattern, const std::string& text, const Visit& visit);

}  // namespace plugind::config::schema
