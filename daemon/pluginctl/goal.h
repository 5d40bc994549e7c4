// What a verb waits for, and whether what is seen of a plugin fulfils it. Pure: fed with snapshots
// and events, in any order and any number of times, so that nothing is lost whichever arrives
// first.
#pragma once

#include <cstdint>
#include <string>
#include <utility>

#include "plugind/control/v1/control.pb.h"

namespace plugind::pluginctl {

namespace v1 = ::plugind::control::v1;

enum class Goal {
  kReady,
  kStopped,
  kGone,        // no longer configured
  kConfigured,  // has answered to new settings
};

enum class Verdict {
  kPending,
  kReached,
  kMissed,    // it has come to a state that it does not leave for the better soon
  kAskAgain,  // the event alone does not tell; a snapshot does
};

class Target {
 public:
  // `before` is the plugin as it was before the request (it may be default-constructed when there
  // was none). With `replaced`, its running instance does not count: a restart is done when another
  // one is READY.
  Target(std::string name, Goal goal, const v1::Plugin& before, bool replaced)
      : name_(std::move(name)),
        goal_(goal),
        old_instance_(replaced ? before.instance() : ""),
        old_exit_(before.last_exit()) {}

  const std::string& name() const { return name_; }
  Goal goal() const { return goal_; }

  // The plugin as the daemon has it after the request.
  Verdict See(const v1::Plugin& plugin);
  // An event that came of the request or later.
  Verdict See(const v1::Event& event);
  // There is no such plugin any more.
  Verdict SeeGone() const {
    return goal_ == Goal::kReady || goal_ == Goal::kConfigured ? Verdict::kMissed
                                                               : Verdict::kReached;
  }

  // Whether a process has ended since the request; then its stderr tells why.
  bool EndedSince(const v1::Plugin& plugin) const;

 private:
  Verdict Judge(v1::Plugin::State state, const std::string& instance);

  std::string name_;
  Goal goal_;
  std::string old_instance_;
  bool left_ = false;  // the old instance has been seen on its way out
  v1::LastExit old_exit_;
};

}  // namespace plugind::pluginctl
