// A Unix socket whose connections lead to another one.
//
// Belongs to the thread of its loop, which outlives it.
#pragma once

#include <absl/status/status.h>

#include <functional>
#include <list>
#include <memory>
#include <string>

#include "daemon/base/event_loop.h"
#include "daemon/base/unique_fd.h"
#include "daemon/pluginctl/author/bridge.h"

namespace plugind::pluginctl {

// A connection to the socket at `path`; invalid with errno set.
UniqueFd ConnectTo(const std::string& path);

class Forwarder {
 public:
  explicit Forwarder(EventLoop& loop) : loop_(loop) {}
  Forwarder(const Forwarder&) = delete;
  Forwarder& operator=(const Forwarder&) = delete;
  ~Forwarder();

  // For connections to the target; before Start. `trouble` gets what goes wrong with it.
  void SpeakTls(tls::ClientPtr client, std::function<void(const std::string&)> trouble);
  // Listens at `path`, in place of what is there; nobody but this user may connect.
  absl::Status Start(const std::string& path, const std::string& target);

 private:
  void Accept();

  EventLoop& loop_;
  UniqueFd listener_;
  std::string target_;
  tls::ClientPtr tls_;  // null: none
  std::function<void(const std::string&)> trouble_;
  std::list<std::unique_ptr<Bridge>> bridges_;
};

}  // namespace plugind::pluginctl
