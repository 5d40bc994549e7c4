#include "daemon/config/schema_visit.h"

#include <algorithm>
#include <utility>

#include "daemon/config/schema_words.h"

namespace plugind::config::schema {

bool Budget::Spend(uint64_t steps) {
  if (steps > left_) exhausted_ = true;
  left_ -= std::min(steps, left_);
  return !exhausted_;
}

Visit Visit::TellingTo(Findings* findings) const {
  Visit same = *this;
  same.findings_ = findings;
  return same;
}

bool Visit::Tell(std::string reason, Fault fault, bool of_key) const {
  constexpr uint64_t kStepsPerMessage = 16;
  if (!Spend(kStepsPerMessage) || findings_->size() >= kMaxMisfits) return false;
  Misfit misfit;
  for (const Visit* at = this; at->up_ != nullptr; at = at->up_) {
    if (at->key_ != nullptr) {
      misfit.path.push_back({*at->key_, 0, false});
    } else {
      misfit.path.push_back({"", at->index_, true});
    }
  }
  std::reverse(misfit.path.begin(), misfit.path.end());
  misfit.of_key = of_key;
  misfit.field = FieldOf(misfit.path);
  misfit.reason = std::move(reason);
  findings_->push_back({fault, std::move(misfit)});
  return false;
}

void Visit::PassOn(Finding finding) const {
  if (findings_->size() < kMaxMisfits) findings_->push_back(std::move(finding));
}

size_t Visit::depth() const {
  size_t depth = 0;
  for (const Visit* up = up_; up != nullptr; up = up->up_) ++depth;
  return depth;
}

}  // namespace plugind::config::schema
