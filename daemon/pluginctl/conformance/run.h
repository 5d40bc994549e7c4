// Checks rules, several at a time, each group in its order.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "daemon/base/status.h"
#include "daemon/pluginctl/conformance/report.h"
#include "daemon/pluginctl/conformance/subject.h"

namespace plugind::pluginctl::conformance {

// Every rule, in the order of the page.
std::vector<const Rule*> AllRules();
const Rule* FindRule(std::string_view id);

// `only`: the rules to check; empty: all. An error where nothing could be checked: there is no such
// program, or no folder to work in.
absl::StatusOr<Report> Run(const Subject& subject, const std::vector<const Rule*>& only);

}  // namespace plugind::pluginctl::conformance
