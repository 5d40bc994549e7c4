#include "sdk/cpp/src/call_count.h"

#include "sdk/cpp/src/server.h"

namespace plugind::sdk {

// One call: it is made when the call arrives and destroyed when the call is over.
class CallCount::Counter final : public grpc::experimental::Interceptor {
 public:
  explicit Counter(CallCount& count) : count_(count) { count_.Enter(); }
  ~Counter() override { count_.Leave(); }
  void Intercept(grpc::experimental::InterceptorBatchMethods* methods) override {
    methods->Proceed();
  }

 private:
  CallCount& count_;
};

class CallCount::Factory final : public grpc::experimental::ServerInterceptorFactoryInterface {
 public:
  explicit Factory(CallCount& count) : count_(count) { count_.attached_.store(true); }
  ~Factory() override { count_.attached_.store(false); }
  grpc::experimental::Interceptor* CreateServerInterceptor(
      grpc::experimental::ServerRpcInfo* info) override {
    // method() is "/package.Service/Method".
    const bool ours = IsInfrastructure(info->method() + 1);
    return ours ? nullptr : new Counter(count_);  // owned by gRPC
  }

 private:
  CallCount& count_;
};

std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface> CallCount::Interceptor(
    CallCount& count) {
  return std::make_unique<Factory>(count);
}

void CallCount::Leave() {
  // Sequentially consistent with WaitForNone: either it sees the zero, or this sees it waiting.
  if (running_.fetch_sub(1) != 1 || !waited_for_.load()) return;
  std::lock_guard lock(mutex_);
  none_.notify_all();
}

bool CallCount::WaitForNone(std::chrono::steady_clock::time_point until) {
  std::unique_lock lock(mutex_);
  waited_for_.store(true);
  return none_.wait_until(lock, until, [this] { return running_.load() == 0; });
}

}  // namespace plugind::sdk
