// supervisor::PluginClient over GrpcConnection: one connection to one plugin process, on an fd that
// Dial has checked. When the connection breaks while the process lives, the next health check dials
// anew. Owned by Plugin; on the supervisor's loop.
#pragma once

#include <memory>

#include "daemon/base/event_loop.h"
#include "daemon/rpc/poller_heartbeat.h"
#include "daemon/supervisor/plugin_client.h"

namespace plugind::rpc {

class GrpcPluginClientFactory final : public supervisor::PluginClientFactory {
 public:
  explicit GrpcPluginClientFactory(EventLoop& loop);

  std::unique_ptr<supervisor::PluginClient> Make(const supervisor::Endpoint& endpoint) override;

 private:
  EventLoop& loop_;
  PollerHeartbeat heartbeat_;  // for the control RPC's sake: a plugin's calls need no thread
};

}  // namespace plugind::rpc
