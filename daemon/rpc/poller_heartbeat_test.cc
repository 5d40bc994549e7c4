#include "daemon/rpc/poller_heartbeat.h"

#include <grpcpp/support/client_interceptor.h>
#include <gtest/gtest.h>

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "daemon/base/clock.h"

namespace plugind::rpc {
namespace {

using grpc::experimental::ClientInterceptorFactoryInterface;
using grpc::experimental::ClientRpcInfo;
using grpc::experimental::InterceptionHookPoints;
using grpc::experimental::Interceptor;
using grpc::experimental::InterceptorBatchMethods;

constexpr std::chrono::milliseconds kOne{1};
// After this long without an event a polling thread of gRPC's goes to sleep.
constexpr std::chrono::milliseconds kUntilAsleep{1000};

// Every call of this process, seen from inside of gRPC. Counts as begun on the caller's thread, as
// ended on the thread that completes it.
class CallWitness {
 public:
  struct End {
    std::thread::id thread;
    grpc::Status status;
  };

  void Begun() {
    const std::lock_guard lock(mutex_);
    ++begun_;
  }
  void Ended(const grpc::Status& status) {
    const std::lock_guard lock(mutex_);
    ends_.push_back({std::this_thread::get_id(), status});
    changed_.notify_all();
  }
  int begun() const {
    const std::lock_guard lock(mutex_);
    return begun_;
  }
  // Every end, once there are `count` of them; none when they do not come.
  std::vector<End> WaitEnded(size_t count) {
    std::unique_lock lock(mutex_);
    const auto enough = [&] { return ends_.size() >= count; };
    if (!changed_.wait_for(lock, std::chrono::seconds(60), enough)) return {};
    return ends_;
  }

 private:
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  int begun_ = 0;
  std::vector<End> ends_;
};

class Tap final : public Interceptor {
 public:
  explicit Tap(std::shared_ptr<CallWitness> witness) : witness_(std::move(witness)) {}

  void Intercept(InterceptorBatchMethods* methods) override {
    if (methods->QueryInterceptionHookPoint(InterceptionHookPoints::PRE_SEND_INITIAL_METADATA)) {
      witness_->Begun();
    }
    if (methods->QueryInterceptionHookPoint(InterceptionHookPoints::POST_RECV_STATUS)) {
      witness_->Ended(*methods->GetRecvStatus());
    }
    methods->Proceed();
  }

 private:
  std::shared_ptr<CallWitness> witness_;
};

class Taps final : public ClientInterceptorFactoryInterface {
 public:
  explicit Taps(std::shared_ptr<CallWitness> witness) : witness_(std::move(witness)) {}
  Interceptor* CreateClientInterceptor(ClientRpcInfo*) override { return new Tap(witness_); }

 private:
  std::shared_ptr<CallWitness> witness_;
};

class PollerHeartbeatTest : public testing::Test {
 protected:
  PollerHeartbeatTest() { grpc::experimental::RegisterGlobalClientInterceptorFactory(&taps_); }
  ~PollerHeartbeatTest() override {
    // What has begun must end before the tap is taken out of gRPC.
    const auto begun = static_cast<size_t>(witness_->begun());
    EXPECT_EQ(witness_->WaitEnded(begun).size(), begun);
    grpc::experimental::TestOnlyResetGlobalClientInterceptorFactory();
  }

  void Pass(Duration time) {
    clock_.Advance(time);
    loop_.RunOnce(Duration::zero());
  }

  FakeClock clock_;
  EventLoop loop_{clock_};
  std::shared_ptr<CallWitness> witness_ = std::make_shared<CallWitness>();
  Taps taps_{witness_};
};

TEST_F(PollerHeartbeatTest, ABeatIsSeenByAThreadOfGrpcsOwn) {
  const PollerHeartbeat heartbeat(loop_);
  const auto ends = witness_->WaitEnded(1);
  ASSERT_EQ(ends.size(), 1U);
  EXPECT_NE(ends[0].thread, std::this_thread::get_id());
}

TEST_F(PollerHeartbeatTest, ABeatStaysInsideTheProcess) {
  const PollerHeartbeat heartbeat(loop_);
  const auto ends = witness_->WaitEnded(1);
  ASSERT_EQ(ends.size(), 1U);
  // Of a channel without an address and without credentials: there is nothing that it could reach.
  EXPECT_EQ(ends[0].status.error_message(), "Invalid credentials.");
}

TEST_F(PollerHeartbeatTest, BeatsBeforeAPollerWouldFallAsleepForAsLongAsItLives) {
  const PollerHeartbeat heartbeat(loop_);
  for (int beats = 1; beats <= 5; ++beats) {
    ASSERT_EQ(witness_->begun(), beats);
    // The next one comes in time also when the one before took as long as it may.
    Pass(kUntilAsleep - kOne);
  }
}

TEST_F(PollerHeartbeatTest, WakesAnIdleDaemonNoOftenerThanNeeded) {
  const PollerHeartbeat heartbeat(loop_);
  for (int i = 0; i < 16; ++i) Pass(kUntilAsleep / 20);
  EXPECT_EQ(witness_->begun(), 1);
}

TEST_F(PollerHeartbeatTest, EndsWithItsOwnerWhileABeatMayBeUnderWay) {
  std::optional<PollerHeartbeat> heartbeat(loop_);
  heartbeat.reset();
  Pass(10 * kUntilAsleep);
  EXPECT_EQ(witness_->begun(), 1);
  EXPECT_EQ(loop_.timers().Next(), std::nullopt);
}

}  // namespace
}  // namespace plugind::rpc
