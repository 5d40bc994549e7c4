// Keeps one of gRPC's callback threads awake. In gRPC 1.51 the few threads that poll for the
// callback API wait for a second, and one that has had nothing to do in that second sleeps for 100
// ms *without polling*. When all of them sleep, whatever arrives waits for up to 100 ms: the first
// call of the control RPC after a quiet second. A thread that completes a call begins its second
// anew, so a call every 900 ms always leaves one polling.
// The call goes to a lame channel, where it fails at once and inside the process. Owned by
// GrpcPluginClientFactory, one for the process; on the supervisor's loop.
#pragma once

#include <absl/synchronization/notification.h>
#include <grpcpp/client_context.h>

#include <memory>
#include <vector>

#include "daemon/base/event_loop.h"
#include "grpc/health/v1/health.grpc.pb.h"

namespace plugind::rpc {

class PollerHeartbeat {
 public:
  explicit PollerHeartbeat(EventLoop& loop);
  // Waits for what is under way: the channel, of which a call holds a part, must not end on the
  // thread that completed it. Were it the last one of the process, that thread of gRPC's would have
  // to join itself.
  ~PollerHeartbeat();

 private:
  struct Beat {
    grpc::ClientContext context;
    grpc::health::v1::HealthCheckRequest request;
    grpc::health::v1::HealthCheckResponse response;
    absl::Notification done;
  };

  void BeginOne();

  EventLoop& loop_;
  std::unique_ptr<grpc::health::v1::Health::Stub> nowhere_;
  std::vector<std::unique_ptr<Beat>> beats_;  // one; more while all threads of gRPC's are asleep
  Deadline next_;
};

}  // namespace plugind::rpc
