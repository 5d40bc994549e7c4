#include "daemon/rpc/poller_heartbeat.h"

#include <grpcpp/create_channel.h>

#include <memory>

#include "daemon/rpc/loop_call.h"

namespace plugind::rpc {
namespace {

// Less than the second after which a thread of gRPC's goes to sleep.
constexpr Duration kInterval = std::chrono::milliseconds(900);

}  // namespace

PollerHeartbeat::PollerHeartbeat(EventLoop& loop)
    : loop_(loop),
      // Without credentials a channel is lame: every call on it fails.
      nowhere_(grpc::health::v1::Health::NewStub(grpc::CreateChannel("", nullptr))),
      next_(loop.timers()) {
  Beat();
}

void PollerHeartbeat::Beat() {
  using grpc::health::v1::HealthCheckRequest;
  using grpc::health::v1::HealthCheckResponse;
  auto call = std::make_shared<UnaryCall<HealthCheckRequest, HealthCheckResponse>>();
  // The outcome is of no interest: that a thread of gRPC's has had to look at it is.
  nowhere_->async()->Check(&call->context, &call->request, &call->response,
                           [call](const grpc::Status&) {});
  next_.Set(loop_.clock().Now() + kInterval, [this] { Beat(); });
}

}  // namespace plugind::rpc
