#include "daemon/config/schema_alternatives.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <string>
#include <utility>

#include "daemon/config/schema_words.h"

namespace plugind::config::schema {

// The one that was meant speaks, if it can be told: the only one with the right kind of value, or
// the only one whose fixed words are right.
void TellNoneFits(std::vector<Findings> tries, const Visit& visit) {
  const size_t depth = visit.depth();
  const auto rank = [depth](const Findings& found) {
    Fault worst = Fault::kOther;
    for (const auto& [fault, misfit] : found) {
      // A wrong kind further inside is a slip, not another alternative.
      if (fault != Fault::kType || misfit.path.size() == depth) worst = std::min(worst, fault);
    }
    return worst;
  };
  Fault best = Fault::kType;
  for (const auto& found : tries) best = std::max(best, rank(found));
  const auto is_best = [&](const Findings& found) { return rank(found) == best; };
  if (std::count_if(tries.begin(), tries.end(), is_best) == 1) {
    for (auto& finding : *std::find_if(tries.begin(), tries.end(), is_best))
      visit.PassOn(std::move(finding));
    return;
  }
  constexpr size_t kToldOf = 4;
  std::vector<std::string> told;
  for (const auto& found : tries) {
    if (found.empty() || told.size() == kToldOf) continue;
    auto misfit = found.front().misfit;
    misfit.path.erase(misfit.path.begin(), misfit.path.begin() + static_cast<ptrdiff_t>(depth));
    misfit.field = FieldOf(misfit.path);
    told.push_back(misfit.ToString());
  }
  visit.Tell(fmt::format("fits none of its {} alternatives: {}{}", tries.size(),
                         fmt::join(told, "; or "), tries.size() > kToldOf ? "; …" : ""),
             best);
}

}  // namespace plugind::config::schema
