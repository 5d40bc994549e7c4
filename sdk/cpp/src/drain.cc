#include "sdk/cpp/src/drain.h"

#include <grpc/grpc.h>

#include <condition_variable>
#include <cstdlib>
#include <mutex>
#include <thread>

#include "plugind/plugin.h"
#include "sdk/cpp/src/call_count.h"

namespace plugind::sdk {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

// What a call that ignores its cancellation gets on top of the timeout.
constexpr milliseconds kLastGrace{1000};
// In which a client acknowledges the end of its connection. One that does not run just now
// (stopped, or a C++ client between two calls) never does, and gRPC would wait the whole timeout
// for it.
constexpr milliseconds kGoodbye{100};

// Stands beside grpc::Server::Shutdown, which blocks, and hurries it.
class Hurry {
 public:
  Hurry(const Server& server, milliseconds timeout, Late late)
      : server_(server),
        deadline_(steady_clock::now() + timeout),
        late_(late),
        thread_([this] { Run(); }) {}
  ~Hurry() {
    {
      std::lock_guard lock(mutex_);
      over_ = true;
    }
    changed_.notify_one();
    thread_.join();
  }
  Hurry(const Hurry&) = delete;
  Hurry& operator=(const Hurry&) = delete;

 private:
  bool OverBy(steady_clock::time_point until) {
    std::unique_lock lock(mutex_);
    return changed_.wait_until(lock, until, [this] { return over_; });
  }

  void Run() {
    if (server_.calls->attached() && server_.calls->WaitForNone(deadline_)) {
      if (OverBy(steady_clock::now() + kGoodbye)) return;
      grpc_server_cancel_all_calls(server_.server->c_server());
    }
    if (OverBy(deadline_ + kLastGrace)) return;
    log(LogLevel::kError, "calls are still running after their cancellation; ending without them");
    if (late_ == Late::kAbort) std::abort();
    std::_Exit(0);
  }

  const Server& server_;
  const steady_clock::time_point deadline_;
  const Late late_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool over_ = false;
  std::thread thread_;  // last: it uses the others
};

}  // namespace

void Drain(const Server& server, milliseconds timeout, Late late) {
  const Hurry hurry(server, timeout, late);
  server.server->Shutdown(std::chrono::system_clock::now() + timeout);
}

}  // namespace plugind::sdk
