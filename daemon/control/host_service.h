// plugind.host.v1.Host: what plugins ask of their host. The gateway lets only plugins call it, and
// says which one calls. Each call is answered on the supervisor's loop.
#pragma once

#include <functional>
#include <string>

#include "daemon/base/event_loop.h"
#include "daemon/supervisor/supervisor.h"
#include "plugind/host/v1/host.grpc.pb.h"

namespace plugind::control {

class HostService final : public host::v1::Host::CallbackService {
 public:
  // Both outlive it.
  HostService(EventLoop& loop, supervisor::Supervisor& supervisor)
      : loop_(loop), supervisor_(supervisor) {}

  grpc::ServerUnaryReactor* GetSelf(grpc::CallbackServerContext*, const host::v1::GetSelfRequest*,
                                    host::v1::GetSelfResponse*) override;
  grpc::ServerUnaryReactor* ListPeers(grpc::CallbackServerContext*,
                                      const host::v1::ListPeersRequest*,
                                      host::v1::ListPeersResponse*) override;
  grpc::ServerUnaryReactor* SetStatus(grpc::CallbackServerContext*,
                                      const host::v1::SetStatusRequest*,
                                      host::v1::SetStatusResponse*) override;

 private:
  // Runs `answer` on the loop for the plugin that calls; whoever is none is denied.
  grpc::ServerUnaryReactor* Answer(
      grpc::CallbackServerContext* context,
      std::function<grpc::Status(const supervisor::PluginStatus& caller)> answer);

  EventLoop& loop_;
  supervisor::Supervisor& supervisor_;
};

}  // namespace plugind::control
