#include "daemon/supervisor/stop_ladder.h"

#include <signal.h>

#include <utility>

#include "daemon/base/failpoint.h"

namespace plugind::supervisor {

StopLadder::StopLadder(EventLoop& loop, Keeper& keeper, std::string instance,
                       const config::Stop& config, PluginClient* client, ShutdownBy by,
                       OnRung on_rung)
    : loop_(loop),
      keeper_(keeper),
      instance_(std::move(instance)),
      config_(config),
      client_(client),
      by_(by),
      on_rung_(std::move(on_rung)),
      next_(loop.timers()) {}

void StopLadder::Begin(StopRung rung, const Instant* deadline) {
  if (rung == StopRung::kShutdown && client_ == nullptr) {
    rung = StopRung::kTerminate;
    deadline = nullptr;  // it was the call's
  }
  if (rung <= rung_) return;
  rung_ = rung;
  next_.Clear();
  const Instant now = loop_.clock().Now();
  switch (rung) {
    case StopRung::kNone:
      return;
    case StopRung::kShutdown: {
      const Instant until = deadline != nullptr ? *deadline : now + config_.shutdown;
      on_rung_(rung, until);
      Failpoint("stop.shutdown");
      next_.Set(until, [this] { Begin(StopRung::kTerminate); });
      client_->Shutdown(by_, config_.shutdown, [this](const absl::Status& status) {
        // Any other answer says nothing: a server that shuts down often ends the call with
        // UNAVAILABLE.
        if (absl::IsUnimplemented(status)) Begin(StopRung::kTerminate);
      });
      return;
    }
    case StopRung::kTerminate: {
      const Instant until = deadline != nullptr ? *deadline : now + config_.grace;
      on_rung_(rung, until);
      Failpoint("stop.terminate");
      keeper_.Signal(instance_, SIGTERM);
      keeper_.Signal(instance_, SIGCONT);  // a stopped process would not see SIGTERM before SIGKILL
      next_.Set(until, [this] { Begin(StopRung::kKill); });
      return;
    }
    case StopRung::kKill:
      on_rung_(rung, now);
      Failpoint("stop.kill");
      keeper_.KillTree(instance_);
      return;
  }
}

}  // namespace plugind::supervisor
