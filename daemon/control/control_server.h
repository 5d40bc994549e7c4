// The gRPC server of the control socket. It binds nothing: plugind accepts connections on a
// listener that the keeper keeps, looks at who connects, and hands the fd over. Callers without a
// right to it get an answer that says so, from a server that knows no method. Owned by main, on the
// supervisor's loop; calls run on gRPC's threads and post.
#pragma once

#include <grpcpp/server.h>

#include <memory>
#include <thread>

#include "daemon/base/unique_fd.h"
#include "daemon/control/control_service.h"
#include "daemon/control/health_service.h"

namespace plugind::control {

class ControlServer {
 public:
  explicit ControlServer(const DaemonParts& parts);
  // Ends every stream and call, running the loop meanwhile: the calls finish there.
  ~ControlServer();

  void Serve(UniqueFd connection);
  // Every call on `connection` is answered PERMISSION_DENIED.
  void Refuse(UniqueFd connection);
  // Some plugin's state, log or the event log has something new.
  void Poke() { followers_.PokeAll(); }

 private:
  class Refusal;

  EventLoop& loop_;
  Followers followers_;
  ControlService service_;
  HealthService health_;
  std::unique_ptr<Refusal> refusal_;
  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<grpc::Server> refusing_server_;
};

}  // namespace plugind::control
