// supervisor::PluginClient over gRPC: one connection to one plugin process, on an fd that Dial has
// checked. When the connection breaks while the process lives, the next health check dials anew.
// Owned by Plugin; on the supervisor's loop.
#pragma once

#include <functional>
#include <memory>

#include "daemon/base/event_loop.h"
#include "daemon/rpc/loop_call.h"
#include "daemon/rpc/poller_heartbeat.h"
#include "daemon/supervisor/plugin_client.h"

namespace plugind::rpc {

class GrpcPluginClientFactory final : public supervisor::PluginClientFactory {
 public:
  explicit GrpcPluginClientFactory(EventLoop& loop);
  // All clients are gone by now. Runs the loop until gRPC has let go of the last cancelled call.
  ~GrpcPluginClientFactory() override;

  std::unique_ptr<supervisor::PluginClient> Make(const supervisor::Endpoint& endpoint) override;

 private:
  EventLoop& loop_;
  PendingCalls pending_;  // of all clients, dead ones included
  PollerHeartbeat heartbeat_;
};

}  // namespace plugind::rpc
