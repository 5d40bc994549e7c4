// What a run found, and the forms in which it is told. Pure. Whatever a plugin printed can break
// none of them.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "daemon/pluginctl/conformance/rule.h"
#include "daemon/pluginctl/terminal.h"

namespace plugind::pluginctl::conformance {

struct Result {
  const Rule* rule = nullptr;
  Finding finding;
  std::chrono::milliseconds took{};
  std::string stderr_tail = {};  // of the process that failed
};

struct Report {
  std::string plugin;  // its path
  bool contract = false;
  std::vector<Result> results;
  std::chrono::milliseconds took{};

  size_t Count(Verdict verdict) const;
};

// The page and the place on it.
std::string See(const Rule& rule);

std::string ToTap(const Report& report);    // TAP version 13
std::string ToJunit(const Report& report);  // one <testsuite>
std::string ToJson(const Report& report);   // one document
std::string ToText(const Report& report, const Terminal& terminal);

}  // namespace plugind::pluginctl::conformance
