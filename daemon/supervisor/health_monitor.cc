#include "daemon/supervisor/health_monitor.h"

#include <algorithm>
#include <utility>

#include "daemon/base/fingerprint.h"
#include "daemon/base/status.h"
#include "daemon/observe/text.h"

namespace plugind::supervisor {
namespace {

// While a plugin warms up: how soon to ask again.
constexpr Duration kWarmUpInterval = std::chrono::milliseconds(100);
// A Watch that breaks is mostly a death, which the keeper is about to report. To dial a dying
// process would keep it from the CPU that it needs to end, and delay that report.
constexpr Duration kAfterBrokenWatch = std::chrono::milliseconds(10);
// Into how many moments an interval is divided. Few wake an idle daemon less often; many keep the
// checks of hundreds of plugins from coming all at once, before a death that is told meanwhile.
constexpr int kMoments = 50;

}  // namespace

HealthMonitor::HealthMonitor(EventLoop& loop, PluginClient& client, std::string_view plugin,
                             Report report)
    : loop_(loop),
      client_(client),
      report_(std::move(report)),
      next_(loop.timers()),
      moment_(static_cast<int>(Fingerprint(plugin) % kMoments)) {}

HealthMonitor::~HealthMonitor() {
  if (watching_) client_.StopWatching();
}

void HealthMonitor::Start(const config::Health& config, bool warm_up) {
  config_ = config;
  warm_up_ = warm_up;
  Check();
}

void HealthMonitor::Check() {
  next_.Clear();
  if (checking_) return;
  checking_ = true;
  const std::weak_ptr<const bool> alive = alive_;
  client_.CheckHealth(config_.timeout, [this, alive](const auto& serving) {
    if (alive.expired()) return;
    checking_ = false;
    OnChecked(serving);
  });
}

void HealthMonitor::CheckNext() {
  Instant due = loop_.clock().Now();
  if (warm_up_) {
    due += std::min(kWarmUpInterval, config_.interval);
  } else {
    const Duration pause = std::max<Duration>(config_.interval / kMoments, Duration(1));
    // The first time sooner, so that plugins that were started together are not checked together.
    due += std::exchange(regular_, true) ? config_.interval : pause * (moment_ + 1);
    due -= due.time_since_epoch() % pause;
  }
  next_.Set(due, [this] { Check(); });
}

void HealthMonitor::OnChecked(const absl::StatusOr<bool>& serving) {
  if (serving.ok()) {
    failures_ = 0;
    answered_ = true;
    if (*serving) warm_up_ = false;
    CheckNext();
    if (watch_allowed_ && !watching_ && loop_.clock().Now() >= next_watch_) {
      watching_ = true;
      const std::weak_ptr<const bool> alive = alive_;
      client_.WatchHealth([this, alive](const auto& update) {
        if (!alive.expired()) OnWatched(update);
      });
    }
    report_(*serving ? HealthVerdict::kServing : HealthVerdict::kNotServing, "");
    return;
  }
  if (absl::IsUnimplemented(serving.status()) && !answered_) {
    report_(HealthVerdict::kUnsupported, "it does not serve grpc.health.v1.Health");
    return;
  }
  if (watching_ && absl::IsDeadlineExceeded(serving.status())) {
    watching_ = watch_allowed_ = false;
    client_.StopWatching();
  }
  ++failures_;
  CheckNext();
  last_failure_ = observe::Sanitized(Message(serving.status()));
  // A start has a deadline of its own, which may be longer.
  if (warm_up_ || failures_ < config_.failures) return;
  report_(HealthVerdict::kUnhealthy,
          fmt::format("{} health checks in a row failed, the last: {}", failures_, last_failure_));
}

void HealthMonitor::OnWatched(const absl::StatusOr<bool>& serving) {
  if (serving.ok()) {
    if (*serving) warm_up_ = false;
    report_(*serving ? HealthVerdict::kServing : HealthVerdict::kNotServing, "");
    return;
  }
  watching_ = false;
  if (absl::IsUnimplemented(serving.status())) {
    watch_allowed_ = false;
    return;
  }
  // Whether the plugin broke too is for Check to say. A server that ends every Watch is not asked
  // for one all the time.
  const Instant now = loop_.clock().Now();
  next_watch_ = now + config_.interval;
  next_.Set(now + kAfterBrokenWatch, [this] { Check(); });
}

}  // namespace plugind::supervisor
