// CallCount knows how many of the author's calls are running, so that a stop can tell a connection
// with work on it from one that is merely open. Thread safety: every method may be called on any
// thread.
#pragma once

#include <grpcpp/support/server_interceptor.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>

namespace plugind::sdk {

class CallCount {
 public:
  void Enter() { running_.fetch_add(1); }
  void Leave();

  // Waits until no call runs; false if some still do at `until`.
  bool WaitForNone(std::chrono::steady_clock::time_point until);

  // Counts the calls of a server, for as long as that server uses it. Calls of the SDK's and gRPC's
  // own services are not counted. `count` outlives the server.
  static std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface> Interceptor(
      CallCount& count);

  // False once the interceptor was discarded: an author's ServerBuilder hook has set its own in its
  // place.
  bool attached() const { return attached_.load(); }

 private:
  class Counter;
  class Factory;

  std::atomic<int64_t> running_{0};
  std::atomic<bool> waited_for_{false};
  std::atomic<bool> attached_{false};
  std::mutex mutex_;
  std::condition_variable none_;
};

}  // namespace plugind::sdk
