// What plugind tells systemd, or whoever set $NOTIFY_SOCKET, by sd_notify(3)'s protocol: one
// datagram a message. Does nothing when there is no such variable. The unit needs NotifyAccess=all:
// the main process is the keeper. On the supervisor's loop.
#pragma once

#include <optional>
#include <string>

#include "daemon/base/clock.h"
#include "daemon/base/event_loop.h"
#include "daemon/base/unique_fd.h"

namespace plugind {

class ServiceManager {
 public:
  explicit ServiceManager(EventLoop& loop);

  void Ready();
  void Reloading();
  void Stopping();
  // A line for `systemctl status`. Sent only when it differs from the last.
  void Status(const std::string& text);
  // Sends WATCHDOG=1 at half of $WATCHDOG_USEC from now on: from the loop, so that a stuck loop is
  // found.
  void StartWatchdog();

 private:
  void Send(const std::string& message);
  void Pat();

  EventLoop& loop_;
  UniqueFd socket_;
  std::string address_;
  std::string status_;
  std::optional<Duration> watchdog_;
  Deadline next_pat_;
};

}  // namespace plugind
