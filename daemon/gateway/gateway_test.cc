// The gateway as main uses it: threads, listeners, tables that change while calls pass. What it
// shares between threads is what ThreadSanitizer looks for here.
#include "daemon/gateway/gateway.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <thread>

#include "daemon/gateway/testing/engine.h"

namespace plugind::gateway::testing {
namespace {

class GatewayTest : public ::testing::Test {
 protected:
  static constexpr int kThreads = 2;

  GatewayTest() {
    std::string made = (std::filesystem::temp_directory_path() / "gateway.XXXXXX").string();
    if (::mkdtemp(made.data()) == nullptr) std::abort();
    directory_ = made;
    Told told;
    told.ended = [this](const CallEnd&) { ends_.fetch_add(1); };
    gateway_ = std::make_unique<Gateway>(kThreads, LimitsOfTests(), clock_, std::move(told));
    auto instance = std::make_shared<Instance>();
    instance->connect = [this](std::string* error) { return ConnectPlugin(error); };
    route_.plugin = "echo";
    route_.availability = Availability::kReady;
    route_.instances = {instance};
    route_.load = std::make_shared<PluginLoad>();
    route_.callers.AddEveryone();
  }
  ~GatewayTest() override {
    gateway_.reset();
    stopping_ = true;
    for (std::thread& plugin : plugins_) plugin.join();
    std::filesystem::remove_all(directory_);
  }

  static Limits LimitsOfTests() {
    Limits limits;
    limits.connections_per_caller = 8;
    limits.handshake = std::chrono::milliseconds(200);
    return limits;
  }

  void Publish() {
    auto table = std::make_shared<RouteTable>();
    table->plugins["echo"] = std::make_shared<const Route>(route_);
    table->services["t.Echo"] = {"echo"};
    gateway_->Publish(std::move(table));
    gateway_->Settle();
  }

  static sockaddr_un Address(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof(address.sun_path) - 1);
    return address;
  }
  void Listen() {
    const sockaddr_un address = Address(directory_ + "/s");
    UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    ASSERT_EQ(::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    ASSERT_EQ(::listen(fd.get(), 64), 0);
    ASSERT_TRUE(gateway_->Listen("front", fd, {Door::Kind::kFront, ""}));
  }
  UniqueFd Dial() const {
    const sockaddr_un address = Address(directory_ + "/s");
    UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    EXPECT_EQ(::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    return fd;
  }

  // Waits for bytes, or for the other thread to have time.
  static void WaitFor(const Http2Peer& peer) {
    pollfd polled{peer.fd(), POLLIN, 0};
    ::poll(&polled, 1, 50);
  }
  UniqueFd ConnectPlugin(std::string*) {
    int pair[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0) {
      std::abort();
    }
    const MutexLock lock(mutex_);
    plugins_.emplace_back([this, fd = pair[0]] {
      Http2Peer peer(UniqueFd(fd), Http2Peer::Role::kPlugin);
      peer.on_request = [&](PeerStream& stream) { Answer(peer, stream, stream.body); };
      while (peer.open() && !stopping_) {
        if (!peer.Pump()) WaitFor(peer);
      }
    });
    return UniqueFd(pair[1]);
  }

  // Until the other side hangs up, or that takes too long.
  static bool IsHungUpOn(const UniqueFd& fd) {
    const Instant until = SystemClock().Now() + std::chrono::seconds(10);
    while (SystemClock().Now() < until) {
      pollfd polled{fd.get(), POLLIN, 0};
      char byte[4096];
      if (::poll(&polled, 1, 100) > 0 && ::recv(fd.get(), byte, sizeof byte, 0) <= 0) return true;
    }
    return false;
  }

  std::string directory_;
  SystemClock clock_;
  Route route_;
  std::atomic<uint64_t> ends_{0};
  std::atomic<bool> stopping_{false};
  Mutex mutex_;
  std::vector<std::thread> plugins_;
  std::unique_ptr<Gateway> gateway_;
};

TEST_F(GatewayTest, CallsPassWhileTablesChangeAndOthersCount) {
  constexpr int kCallers = 4;
  constexpr int kCalls = 200;
  Publish();
  Listen();
  std::atomic<int> answered{0};
  std::vector<std::thread> callers;
  for (int i = 0; i < kCallers; ++i) {
    callers.emplace_back([&] {
      Http2Peer caller(Dial(), Http2Peer::Role::kCaller);
      for (int call = 0; call < kCalls && caller.open(); ++call) {
        PeerStream& stream = caller.Call(kEcho);
        caller.Send(stream, "hello");
        caller.End(stream);
        while (!stream.closed && caller.open()) {
          if (!caller.Pump()) WaitFor(caller);
        }
        if (stream.body == "hello" && stream.Field("grpc-status") == "0") answered.fetch_add(1);
      }
    });
  }
  while (answered.load() < kCallers * kCalls / 2) {
    Publish();
    gateway_->EachSeries([](const CallSeries& series) { (void)series.admitted.value(); });
  }
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(answered.load(), kCallers * kCalls);
  gateway_->Settle();
  uint64_t admitted = 0;
  uint64_t ok = 0;
  gateway_->EachSeries([&](const CallSeries& series) {
    admitted += series.admitted.value();
    ok += series.Ended(Outcome::kOk);
  });
  EXPECT_EQ(admitted, kCallers * kCalls);
  EXPECT_EQ(ok, kCallers * kCalls);
  EXPECT_EQ(ends_.load(), kCallers * kCalls);
}

TEST_F(GatewayTest, ACallerHasNoMoreConnectionsThanItMayHave) {
  Publish();
  Listen();
  std::vector<UniqueFd> kept;
  for (int i = 0; i < 8; ++i) kept.push_back(Dial());
  // Each has greeted, so that no timeout closes it meanwhile.
  std::vector<std::unique_ptr<Http2Peer>> peers;
  for (UniqueFd& fd : kept) {
    peers.push_back(std::make_unique<Http2Peer>(std::move(fd), Http2Peer::Role::kCaller));
    while (peers.back()->received() == 0) {
      if (!peers.back()->Pump()) WaitFor(*peers.back());
    }
  }
  EXPECT_TRUE(IsHungUpOn(Dial()));
  peers.pop_back();
  // Its place is free as soon as the gateway has seen it go.
  const Instant until = clock_.Now() + std::chrono::seconds(10);
  bool again = false;
  while (!again && clock_.Now() < until) {
    Http2Peer peer(Dial(), Http2Peer::Role::kCaller);
    while (peer.open() && peer.received() == 0) {
      if (!peer.Pump()) WaitFor(peer);
    }
    again = peer.received() > 0;
  }
  EXPECT_TRUE(again);
}

TEST_F(GatewayTest, WhoDoesNotGreetInTimeIsHungUpOn) {
  Publish();
  Listen();
  EXPECT_TRUE(IsHungUpOn(Dial()));
}

TEST_F(GatewayTest, ItEndsWithCallsUnderWay) {
  route_.availability = Availability::kComing;
  route_.instances.clear();
  Publish();
  Listen();
  Http2Peer caller(Dial(), Http2Peer::Role::kCaller);
  caller.End(caller.Call(kEcho));
  uint64_t admitted = 0;
  while (admitted == 0) {
    if (!caller.Pump()) WaitFor(caller);
    gateway_->EachSeries([&](const CallSeries& series) { admitted += series.admitted.value(); });
  }
  gateway_.reset();
  EXPECT_EQ(ends_.load(), 1U);
  while (caller.Pump()) {
  }
  EXPECT_FALSE(caller.open());
}

}  // namespace
}  // namespace plugind::gateway::testing
