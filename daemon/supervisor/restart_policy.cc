#include "daemon/supervisor/restart_policy.h"

#include <algorithm>
#include <array>

namespace plugind::supervisor {
namespace {

using std::chrono::minutes;
constexpr std::array<Duration, 4> kQuarantineDelays = {minutes(5), minutes(15), minutes(30),
                                                       minutes(60)};

Duration Doubled(Duration delay, Duration limit) { return delay >= limit / 2 ? limit : delay * 2; }

}  // namespace

RestartPolicy::Verdict RestartPolicy::OnFailure(const config::Backoff& backoff,
                                                const config::Quarantine& quarantine, Instant now,
                                                Duration ready_for, double jitter) {
  const bool stable = ready_for > Duration::zero() && ready_for >= backoff.stable;
  if (stable && ready_for >= 2 * last_delay_) Reset();

  if (quarantine.failures > 0) {
    failures_.push_back(now);
    while (failures_.size() > quarantine.failures) failures_.pop_front();
    const bool full =
        failures_.size() == quarantine.failures && now - failures_.front() <= quarantine.window;
    // After quarantine one failure suffices, until a stable run has reset it.
    if (full || (quarantines_ > 0 && !stable)) {
      const size_t index = std::min<size_t>(quarantines_, kQuarantineDelays.size() - 1);
      ++quarantines_;
      return {Verdict::Kind::kQuarantine, kQuarantineDelays[index]};
    }
  }
  if (stable || backoff.initial == Duration::zero()) return {Verdict::Kind::kNow, Duration::zero()};

  last_delay_ = last_delay_ == Duration::zero() ? std::min(backoff.initial, backoff.max)
                                                : Doubled(last_delay_, backoff.max);
  const double factor = 0.75 + 0.5 * std::clamp(jitter, 0.0, 1.0);
  return {Verdict::Kind::kBackoff,
          Duration(static_cast<Duration::rep>(static_cast<double>(last_delay_.count()) * factor))};
}

void RestartPolicy::Reset() { *this = RestartPolicy(); }

uint32_t RestartPolicy::RecentFailures(const config::Quarantine& quarantine, Instant now) const {
  return static_cast<uint32_t>(
      std::ranges::count_if(failures_, [&](Instant at) { return now - at <= quarantine.window; }));
}

void RestartPolicy::Save(Writer& writer) const {
  writer.Put(last_delay_.count()).Put(quarantines_).Put(static_cast<uint32_t>(failures_.size()));
  for (const Instant at : failures_) writer.Put(at.time_since_epoch().count());
}

void RestartPolicy::Restore(Reader& reader) {
  last_delay_ = Duration(reader.Get<Duration::rep>());
  quarantines_ = reader.Get<uint32_t>();
  failures_.clear();
  for (const auto at : reader.GetIntegers<Duration::rep>()) failures_.emplace_back(Duration(at));
}

}  // namespace plugind::supervisor
