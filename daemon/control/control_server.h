// The control RPC's gRPC server. It binds nothing: the gateway, which knows who calls, is all that
// can reach it, over socket pairs. Owned by main, on the supervisor's loop; calls run on gRPC's
// threads and post.
#pragma once

#include <grpcpp/server.h>

#include <memory>
#include <thread>

#include "daemon/base/unique_fd.h"
#include "daemon/control/control_service.h"
#include "daemon/control/gate.h"
#include "daemon/control/health_service.h"
#include "daemon/control/host_service.h"

namespace plugind::control {

class ControlServer {
 public:
  explicit ControlServer(const DaemonParts& parts);
  // Ends every stream and call, running the loop meanwhile: the calls finish there.
  ~ControlServer();

  // Any thread.
  void Serve(UniqueFd connection);
  // Some plugin's state, log or the event log has something new.
  void Poke() { followers_.PokeAll(); }

 private:
  EventLoop& loop_;
  Followers followers_;
  const Gate gate_;
  ControlService service_;
  HealthService health_;
  HostService host_;
  std::unique_ptr<grpc::Server> server_;
};

}  // namespace plugind::control
