// When a plugin that ended is started again: at once, after a delay, or after quarantine. A pure
// function of what happened and `now`; the numbers are those of the plugin's configuration.
//
//   READY for `stable`            → at once; and for max(stable, 2 × last delay) → all is forgotten
//   otherwise                     → initial, doubling to max, each ±25 %
//   `failures` within `window`    → quarantine: 5, 15, 30, then every 60 minutes, one try each
//   (half-open)
#pragma once

#include <cstdint>
#include <deque>

#include "daemon/base/clock.h"
#include "daemon/base/codec.h"
#include "daemon/config/plugin_config.h"

namespace plugind::supervisor {

class RestartPolicy {
 public:
  struct Verdict {
    enum class Kind : uint8_t {
      kNow,
      kBackoff,
      kQuarantine,
    };
    Kind kind = Kind::kNow;
    Duration delay = Duration::zero();
    friend bool operator==(const Verdict&, const Verdict&) = default;
  };

  // It ended without being asked to. `ready_for`: how long it had been READY, zero if it never was.
  // `jitter` in [0, 1] moves the delay between 75 % and 125 %.
  Verdict OnFailure(const config::Backoff& backoff, const config::Quarantine& quarantine,
                    Instant now, Duration ready_for, double jitter);
  // An operator or a new configuration gives it a clean slate.
  void Reset();

  // Failures within the window that ends at `now`.
  uint32_t RecentFailures(const config::Quarantine& quarantine, Instant now) const;

  void Save(Writer& writer) const;
  void Restore(Reader& reader);
  friend bool operator==(const RestartPolicy&, const RestartPolicy&) = default;

 private:
  Duration last_delay_ = Duration::zero();
  std::deque<Instant> failures_;  // the newest, at most quarantine.failures
  uint32_t quarantines_ = 0;      // in a row
};

}  // namespace plugind::supervisor
