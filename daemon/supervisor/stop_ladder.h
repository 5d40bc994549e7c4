// An orderly stop, rung by rung: Shutdown RPC, SIGTERM, SIGKILL to the whole tree; each next rung
// when the last one's time is up. It ends when its owner destroys it, because the process is gone.
// Owned by Plugin; on the supervisor's loop.
#pragma once

#include <functional>
#include <string>

#include "daemon/base/custody.h"
#include "daemon/base/event_loop.h"
#include "daemon/config/plugin_config.h"
#include "daemon/supervisor/plugin_client.h"
#include "daemon/supervisor/record.h"

namespace plugind::supervisor {

class StopLadder {
 public:
  // Told of each rung before it takes effect, so that a successor of plugind can go on from there.
  using OnRung = std::function<void(StopRung, Instant deadline)>;

  // `client` may be null: then there is no RPC to send. All referred to outlive this object.
  StopLadder(EventLoop& loop, Keeper& keeper, std::string instance, const config::Stop& config,
             PluginClient* client, ShutdownBy by, OnRung on_rung);

  // Steps onto `rung`. `deadline`: of an earlier plugind, which had stepped onto it; otherwise from
  // the configuration.
  void Begin(StopRung rung, const Instant* deadline = nullptr);
  // No more patience: SIGKILL now.
  void Kill() { Begin(StopRung::kKill); }

 private:
  EventLoop& loop_;
  Keeper& keeper_;
  std::string instance_;
  config::Stop config_;
  PluginClient* client_;
  ShutdownBy by_;
  OnRung on_rung_;
  StopRung rung_ = StopRung::kNone;
  Deadline next_;
};

}  // namespace plugind::supervisor
