// SIGINT, SIGTERM and SIGHUP as calls on a loop. A handler rather than a blocked mask and a
// signalfd: gRPC's threads are there already and would take the signals. One at a time in a
// process, on the loop's thread; the handlers before are put back at its end.
#pragma once

#include <array>
#include <csignal>
#include <functional>

#include "daemon/base/event_loop.h"
#include "daemon/base/unique_fd.h"

namespace plugind::pluginctl {

class WakeOnSignal {
 public:
  WakeOnSignal(EventLoop& loop, std::function<void()> callback);
  WakeOnSignal(const WakeOnSignal&) = delete;
  WakeOnSignal& operator=(const WakeOnSignal&) = delete;
  ~WakeOnSignal();

 private:
  static constexpr std::array<int, 3> kSignals = {SIGINT, SIGTERM, SIGHUP};

  EventLoop& loop_;
  UniqueFd wake_;
  std::array<struct sigaction, kSignals.size()> before_{};
};

}  // namespace plugind::pluginctl
