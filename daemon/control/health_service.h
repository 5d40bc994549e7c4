// grpc.health.v1 on the control socket: "" and the control service itself, and one entry for each
// plugin by its name, SERVING while it is READY. gRPC's own implementation could not forget a
// plugin that is removed.
#pragma once

#include <string>

#include "daemon/base/event_loop.h"
#include "daemon/control/gate.h"
#include "daemon/control/loop_stream.h"
#include "daemon/supervisor/supervisor.h"
#include "grpc/health/v1/health.grpc.pb.h"

namespace plugind::control {

class HealthService final : public grpc::health::v1::Health::CallbackService {
 public:
  HealthService(EventLoop& loop, supervisor::Supervisor& supervisor, Followers& followers,
                const Gate& gate)
      : loop_(loop), supervisor_(supervisor), followers_(followers), gate_(gate) {}

  grpc::ServerUnaryReactor* Check(grpc::CallbackServerContext*,
                                  const grpc::health::v1::HealthCheckRequest*,
                                  grpc::health::v1::HealthCheckResponse*) override;
  grpc::ServerWriteReactor<grpc::health::v1::HealthCheckResponse>* Watch(
      grpc::CallbackServerContext*, const grpc::health::v1::HealthCheckRequest*) override;

 private:
  grpc::health::v1::HealthCheckResponse::ServingStatus StatusOf(const std::string& service) const;

  EventLoop& loop_;
  supervisor::Supervisor& supervisor_;
  Followers& followers_;
  const Gate& gate_;
};

}  // namespace plugind::control
