#include "daemon/observe/denial_tally.h"

#include <utility>

namespace plugind::observe {

bool DenialTally::Add(const Denial& denial) {
  const Kind kind{denial.caller, denial.plugin, denial.method, denial.reason};
  const MutexLock lock(mutex_);
  if (const auto known = counts_.find(kind); known != counts_.end()) {
    ++known->second.repeated;
    return false;
  }
  if (counts_.size() >= kKinds) {
    Count& rest = counts_[{"*", "", "", "more denials, of many callers"}];
    ++rest.repeated;
    return false;
  }
  size_t& kinds = kinds_of_[denial.caller];
  if (kinds >= kKindsOfACaller) {
    Count& rest = counts_[{denial.caller, "", "", "more denials, of many kinds"}];
    rest.pid = denial.pid;
    ++rest.repeated;
    return false;
  }
  ++kinds;
  counts_.emplace(kind, Count{denial.pid, 0});
  firsts_.push_back({denial, 0});
  return true;
}

std::vector<DenialTally::Line> DenialTally::TakeFirsts() {
  const MutexLock lock(mutex_);
  return std::exchange(firsts_, {});
}

std::vector<DenialTally::Line> DenialTally::TakeAll() {
  const MutexLock lock(mutex_);
  std::vector<Line> lines = std::exchange(firsts_, {});
  for (const auto& [kind, count] : counts_) {
    if (count.repeated == 0) continue;
    lines.push_back(
        {{kind.caller, count.pid, kind.method, kind.plugin, kind.reason}, count.repeated});
  }
  counts_.clear();
  kinds_of_.clear();
  return lines;
}

}  // namespace plugind::observe
