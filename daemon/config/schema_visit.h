// A check of settings at one of their values: the way to it, the steps that are left, and whom to
// tell what does not fit. Lives on the stack, and never longer than the Visit it is inside of.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "daemon/config/schema.h"

namespace plugind::config::schema {

// A step takes some 50 ns; settings of the greatest size take a fifth of these.
inline constexpr uint64_t kMaxSteps = 2'000'000;

// Of one check.
class Budget {
 public:
  // False when there are no steps left; then nothing fits and everything ends.
  bool Spend(uint64_t steps);
  bool exhausted() const { return exhausted_; }

 private:
  uint64_t left_ = kMaxSteps;
  bool exhausted_ = false;
};

enum class Fault {
  kType,    // not even the right kind of value
  kChoice,  // another word or number than the ones that are meant
  kOther,
};

struct Finding {
  Fault fault;
  Misfit misfit;
};

using Findings = std::vector<Finding>;

class Visit {
 public:
  // To the settings as a whole. All that is named here and below outlives the Visit.
  Visit(Budget* budget, Findings* findings) : budget_(budget), findings_(findings) {}
  Visit Inside(const std::string& key) const { return {this, &key, 0}; }
  Visit Inside(size_t index) const { return {this, nullptr, index}; }
  // To the same value, for a purpose of its own.
  Visit TellingTo(Findings* findings) const;
  // Only to know whether it fits: nothing is told, so nothing should be composed.
  Visit Silent() const { return TellingTo(nullptr); }
  bool telling() const { return findings_ != nullptr; }

  bool Spend(uint64_t steps) const { return budget_->Spend(steps); }
  bool exhausted() const { return budget_->exhausted(); }
  // No use in looking further, at a value that `fits` so far.
  bool Settled(bool fits) const { return exhausted() || (!fits && !telling()); }

  // These are for who is telling(). `reason` is of the value or, of_key, of the key it stands
  // under. Always false, as what has a misfit does not fit.
  bool Tell(std::string reason, Fault fault = Fault::kOther, bool of_key = false) const;
  // What was told to another already.
  void PassOn(Finding finding) const;

  // How many values this one is inside of.
  size_t depth() const;

 private:
  Visit(const Visit* up, const std::string* key, size_t index)
      : budget_(up->budget_), findings_(up->findings_), up_(up), key_(key), index_(index) {}

  Budget* budget_;
  Findings* findings_;
  const Visit* up_ = nullptr;
  const std::string* key_ = nullptr;  // null: index_ counts
  size_t index_ = 0;
};

}  // namespace plugind::config::schema
