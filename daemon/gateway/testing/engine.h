// A gateway thread's whole engine without the thread: a Worker whose rounds a test takes one by
// one, by a clock that it moves, with callers and plugins at the other ends of socket pairs.
#pragma once

#include <array>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "daemon/base/clock.h"
#include "daemon/gateway/door.h"
#include "daemon/gateway/route_table.h"
#include "daemon/gateway/shared.h"
#include "daemon/gateway/testing/http2_peer.h"
#include "daemon/gateway/worker.h"

namespace plugind::gateway::testing {

// A process of a plugin; every connection to it is a peer.
class FakePlugin {
 public:
  FakePlugin();

  InstancePtr instance() const { return instance_; }
  // What connections are made with from now on.
  Http2Peer::Options options;
  bool accepts = true;
  // A request's headers are there; the same, in full. The second echoes unless the test says.
  std::function<void(Http2Peer&, PeerStream&)> on_headers;
  std::function<void(Http2Peer&, PeerStream&)> on_request;
  // A new connection.
  std::function<void(Http2Peer&)> on_connected;

  std::vector<std::unique_ptr<Http2Peer>> connections;
  // Requests that came in full.
  int executed = 0;
  bool Pump();
  // The first stream there is on the last connection.
  PeerStream& stream();
  Http2Peer& connection() { return *connections.back(); }

 private:
  UniqueFd Connect(std::string* error);

  std::shared_ptr<Instance> instance_;
};

// The answer of a plugin that does what it is asked.
void Answer(Http2Peer& peer, PeerStream& stream, std::string_view body,
            const Fields& trailers = {{"grpc-status", "0"}});

struct Sums {
  uint64_t admitted = 0;
  std::array<uint64_t, kOutcomes.size()> ended{};
  uint64_t resent = 0;
  uint64_t Of(Outcome outcome) const { return ended[static_cast<size_t>(outcome)]; }
  uint64_t Ended() const;
};

class Engine {
 public:
  explicit Engine(const Limits& limits = Limits());
  ~Engine();

  FakeClock clock;
  // "echo", which provides the service "t.Echo". Edit, then Publish().
  Route route;
  RouteTable table;
  FakePlugin plugin;
  std::vector<CallEnd> ends;  // its texts are gone
  std::vector<Denied> denials;
  std::shared_ptr<PluginLoad> load;

  uint32_t uid = 1000;  // of callers that connect from now on

  void Publish();
  // A new caller's connection, who may call everything.
  Http2Peer& Connect(const Door& door = {Door::Kind::kFront, ""}) { return Connect(door, {}); }
  Http2Peer& Connect(const Door& door, Http2Peer::Options options);
  // The caller's end of one, for bytes by hand.
  UniqueFd ConnectRaw(const Door& door);
  // Until nothing moves any more.
  void Settle();
  void Advance(Duration by);
  Worker& worker() { return *worker_; }
  Shared& shared() { return shared_; }
  Sums sums() const;
  // A unary call from a new caller: what it was told.
  PeerStream Unary(const Fields& more = {}, std::string_view body = "hello");

 private:
  Shared shared_;
  std::unique_ptr<Worker> worker_;
  std::vector<std::unique_ptr<Http2Peer>> callers_;
};

inline constexpr char kEcho[] = "/t.Echo/Echo";

}  // namespace plugind::gateway::testing
