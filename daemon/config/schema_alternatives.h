// What is said of a value that fits none of several alternatives (anyOf, oneOf). To tell of each
// would bury the one that its author meant.
#pragma once

#include <vector>

#include "daemon/config/schema_visit.h"

namespace plugind::config::schema {

// `tries` is what each alternative has against the value of `visit`, which is telling().
void TellNoneFits(std::vector<Findings> tries, const Visit& visit);

}  // namespace plugind::config::schema
