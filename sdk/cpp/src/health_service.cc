#include "sdk/cpp/src/health_service.h"

#include <utility>
#include <vector>

namespace plugind::sdk {

using grpc::health::v1::HealthCheckRequest;
using grpc::health::v1::HealthCheckResponse;

// One Watch call. Its state is guarded by the service's mutex; gRPC is called outside of it, which
// is safe because `busy_` and `finished_` let only one thread at a time act on the call.
class HealthService::Watcher final : public grpc::ServerWriteReactor<HealthCheckResponse> {
 public:
  Watcher(HealthService& service, std::string name) : service_(service), name_(std::move(name)) {}

  // Sends what has changed, else ends the call if that is due, else does nothing.
  void Advance() {
    bool write = false;
    {
      std::lock_guard lock(service_.mutex_);
      if (busy_ || finished_) return;
      const Status status = service_.StatusOf(name_);
      if (!cancelled_ && (!sent_any_ || status != sent_)) {
        sent_any_ = true;
        sent_ = status;
        response_.set_status(status);
        busy_ = write = true;
      } else if (cancelled_ || service_.ended_) {
        finished_ = true;
      } else {
        return;
      }
    }
    // Either call may be answered, and this object gone, before it returns.
    if (write) {
      StartWrite(&response_);
    } else {
      Finish(grpc::Status(grpc::StatusCode::UNAVAILABLE, "the plugin is stopping"));
    }
  }

  void OnWriteDone(bool ok) override {
    {
      std::lock_guard lock(service_.mutex_);
      busy_ = false;
      if (!ok) cancelled_ = true;
    }
    Advance();
  }

  void OnCancel() override {
    {
      std::lock_guard lock(service_.mutex_);
      cancelled_ = true;
    }
    Advance();
  }

  void OnDone() override {
    std::shared_ptr<Watcher> self;  // keeps this object until the lock is released
    std::lock_guard lock(service_.mutex_);
    for (auto it = service_.watchers_.begin(); it != service_.watchers_.end(); ++it) {
      if (it->get() != this) continue;
      self = *it;
      service_.watchers_.erase(it);
      return;
    }
  }

 private:
  HealthService& service_;
  const std::string name_;
  HealthCheckResponse response_;
  Status sent_ = HealthCheckResponse::UNKNOWN;
  bool sent_any_ = false;
  bool busy_ = false;  // a write is under way
  bool cancelled_ = false;
  bool finished_ = false;
};

HealthService::HealthService() : names_{"", "plugin"} {}
HealthService::~HealthService() = default;

void HealthService::Add(const std::string& name) {
  std::lock_guard lock(mutex_);
  names_.insert(name);
}

void HealthService::SetServing(bool serving) {
  {
    std::lock_guard lock(mutex_);
    if (ended_) return;
    serving_ = serving;
  }
  AdvanceAll();
}

void HealthService::End() {
  {
    std::lock_guard lock(mutex_);
    serving_ = false;
    ended_ = true;
  }
  AdvanceAll();
}

HealthService::Status HealthService::StatusOf(const std::string& name) const {
  if (names_.find(name) == names_.end()) return HealthCheckResponse::SERVICE_UNKNOWN;
  return serving_ ? HealthCheckResponse::SERVING : HealthCheckResponse::NOT_SERVING;
}

void HealthService::AdvanceAll() {
  std::vector<std::shared_ptr<Watcher>> watchers;
  {
    std::lock_guard lock(mutex_);
    watchers.assign(watchers_.begin(), watchers_.end());
  }
  for (const auto& watcher : watchers) watcher->Advance();
}

grpc::ServerUnaryReactor* HealthService::Check(grpc::CallbackServerContext* context,
                                               const HealthCheckRequest* request,
                                               HealthCheckResponse* response) {
  Status status;
  {
    std::lock_guard lock(mutex_);
    status = StatusOf(request->service());
  }
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  if (status == HealthCheckResponse::SERVICE_UNKNOWN) {
    // A message travels as a header, where megabytes take seconds.
    constexpr size_t kShown = 100;
    reactor->Finish(grpc::Status(grpc::StatusCode::NOT_FOUND,
                                 "unknown service: " + request->service().substr(0, kShown)));
  } else {
    response->set_status(status);
    reactor->Finish(grpc::Status::OK);
  }
  return reactor;
}

grpc::ServerWriteReactor<HealthCheckResponse>* HealthService::Watch(
    grpc::CallbackServerContext* /*context*/, const HealthCheckRequest* request) {
  auto watcher = std::make_shared<Watcher>(*this, request->service());
  {
    std::lock_guard lock(mutex_);
    watchers_.insert(watcher);
  }
  watcher->Advance();
  return watcher.get();
}

}  // namespace plugind::sdk
