#include "daemon/pluginctl/goal.h"

namespace plugind::pluginctl {

using v1::Plugin;

bool Target::EndedSince(const Plugin& plugin) const {
  const v1::LastExit& exit = plugin.last_exit();
  return plugin.has_last_exit() &&
         (exit.instance() != old_exit_.instance() || exit.pid() != old_exit_.pid() ||
          exit.at().seconds() != old_exit_.at().seconds() ||
          exit.at().nanos() != old_exit_.at().nanos());
}

Verdict Target::Judge(Plugin::State state, const std::string& instance) {
  if (state != Plugin::READY && state != Plugin::UNREADY) left_ = true;
  switch (goal_) {
    case Goal::kGone:
      return Verdict::kPending;
    case Goal::kStopped:
      if (state == Plugin::STOPPED) return Verdict::kReached;
      return state == Plugin::FAILED ? Verdict::kAskAgain : Verdict::kPending;
    case Goal::kConfigured:
      // Whether it has answered, a snapshot tells; one that takes a restart gets them with it.
      if (state == Plugin::READY || state == Plugin::UNREADY) return Verdict::kAskAgain;
      break;
    case Goal::kReady:
      break;
  }
  switch (state) {
    case Plugin::READY: {
      const bool old = !left_ && !old_instance_.empty() && instance == old_instance_;
      return old ? Verdict::kPending : Verdict::kReached;
    }
    case Plugin::BACKOFF:
    case Plugin::QUARANTINED:
    case Plugin::FAILED:
      return Verdict::kMissed;
    case Plugin::STOPPED:
      return Verdict::kAskAgain;  // a restart passes through it
    case Plugin::WAITING:
    case Plugin::STARTING:
    case Plugin::UNREADY:
    case Plugin::DRAINING:
    case Plugin::STOPPING:
    case Plugin::STATE_UNSPECIFIED:
    case v1::Plugin_State_Plugin_State_INT_MIN_SENTINEL_DO_NOT_USE_:
    case v1::Plugin_State_Plugin_State_INT_MAX_SENTINEL_DO_NOT_USE_:
      return Verdict::kPending;
  }
  return Verdict::kPending;  // a state that only a newer daemon knows
}

Verdict Target::See(const Plugin& plugin) {
  const Verdict verdict = Judge(plugin.state(), plugin.instance());
  if (verdict != Verdict::kAskAgain) return verdict;
  if (goal_ == Goal::kConfigured && plugin.state() != Plugin::STOPPED) {
    if (plugin.settings().pending()) return Verdict::kPending;
    return plugin.settings().refused().empty() ? Verdict::kReached : Verdict::kMissed;
  }
  if (goal_ == Goal::kStopped) {
    // FAILED and not wanted: nothing of it runs, and nothing will.
    return !plugin.wanted() && plugin.pid() == 0 ? Verdict::kReached : Verdict::kPending;
  }
  // STOPPED is the end when somebody else stopped it, or when the new process has finished and its
  // policy is not to start another.
  if (!plugin.wanted()) return Verdict::kMissed;
  return EndedSince(plugin) && plugin.last_exit().instance() != old_instance_ ? Verdict::kMissed
                                                                              : Verdict::kPending;
}

Verdict Target::See(const v1::Event& event) {
  return event.type() == "removed" ? SeeGone() : Judge(event.to(), event.instance());
}

}  // namespace plugind::pluginctl
