#include "daemon/rpc/poller_heartbeat.h"

#include <grpcpp/create_channel.h>

#include <memory>

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
  BeginOne();
}

PollerHeartbeat::~PollerHeartbeat() {
  for (const auto& beat : beats_) beat->done.WaitForNotification();
}

void PollerHeartbeat::BeginOne() {
  std::erase_if(beats_, [](const auto& beat) { return beat->done.HasBeenNotified(); });
  auto* beat = beats_.emplace_back(std::make_unique<Beat>()).get();
  // The outcome is of no interest: that a thread of gRPC's has had to look at it is.
  nowhere_->async()->Check(&beat->context, &beat->request, &beat->response,
                           [beat](const grpc::Status&) { beat->done.Notify(); });
  next_.Set(loop_.clock().Now() + kInterval, [this] { BeginOne(); });
}

}  // namespace plugind::rpc
