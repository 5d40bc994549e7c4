#include "sdk/cpp/src/broker_service.h"

#include <utility>
#include <vector>

namespace plugind::sdk {

using ::plugin::ConnInfo;

// One stream. It finishes once: when the host has said its last, or at the end. gRPC is called
// outside of the service's mutex, and may have answered before it returns.
class BrokerService::Stream final : public grpc::ServerBidiReactor<ConnInfo, ConnInfo> {
 public:
  explicit Stream(BrokerService& service) : service_(service) {}

  // Keeps this object alive until gRPC is done with it, whatever the service forgets.
  void Hold(std::shared_ptr<Stream> self) { self_ = std::move(self); }

  // An end that comes between the check and the read does no harm: the read then fails.
  void Read() {
    {
      std::lock_guard lock(service_.mutex_);
      if (finished_) return;
    }
    StartRead(&message_);
  }

  void End() {
    {
      std::lock_guard lock(service_.mutex_);
      if (std::exchange(finished_, true)) return;
    }
    Finish(grpc::Status::OK);
  }

  void OnReadDone(bool ok) override { ok ? Read() : End(); }

  void OnDone() override {
    // Destroyed after the lock is released.
    const std::shared_ptr<Stream> self = std::move(self_);
    std::lock_guard lock(service_.mutex_);
    service_.streams_.erase(self);
  }

 private:
  BrokerService& service_;
  std::shared_ptr<Stream> self_;
  ConnInfo message_;
  bool finished_ = false;
};

BrokerService::BrokerService() = default;
BrokerService::~BrokerService() = default;

void BrokerService::End() {
  std::vector<std::shared_ptr<Stream>> streams;
  {
    std::lock_guard lock(mutex_);
    ended_ = true;
    streams.assign(streams_.begin(), streams_.end());
  }
  for (const auto& stream : streams) stream->End();
}

grpc::ServerBidiReactor<ConnInfo, ConnInfo>* BrokerService::StartStream(
    grpc::CallbackServerContext* /*context*/) {
  auto stream = std::make_shared<Stream>(*this);
  stream->Hold(stream);
  bool ended = false;
  {
    std::lock_guard lock(mutex_);
    streams_.insert(stream);
    ended = ended_;
  }
  ended ? stream->End() : stream->Read();
  return stream.get();
}

}  // namespace plugind::sdk
