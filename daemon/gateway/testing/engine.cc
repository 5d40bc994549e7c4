#include "daemon/gateway/testing/engine.h"

#include <sys/socket.h>

#include <cstdlib>
#include <numeric>

#include "daemon/gateway/caller_connection.h"

namespace plugind::gateway::testing {
namespace {

std::array<UniqueFd, 2> Pair() {
  int pair[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0) std::abort();
  return {UniqueFd(pair[0]), UniqueFd(pair[1])};
}

// Rounds without a byte moving after which nothing will: what one round reads, it writes.
constexpr int kQuietRounds = 3;

}  // namespace

void Answer(Http2Peer& peer, PeerStream& stream, std::string_view body, const Fields& trailers) {
  peer.Respond(stream, {{":status", "200"}, {"content-type", "application/grpc"}});
  peer.Send(stream, body);
  peer.End(stream, trailers);
}

FakePlugin::FakePlugin() : instance_(std::make_shared<Instance>()) {
  instance_->id = "1";
  instance_->connect = [this](std::string* error) { return Connect(error); };
  on_request = [](Http2Peer& peer, PeerStream& stream) { Answer(peer, stream, stream.body); };
}

UniqueFd FakePlugin::Connect(std::string* error) {
  if (!accepts) {
    *error = "Connection refused";
    return UniqueFd();
  }
  auto [ours, theirs] = Pair();
  auto made = std::make_unique<Http2Peer>(std::move(ours), Http2Peer::Role::kPlugin, options);
  Http2Peer* peer = made.get();
  peer->on_headers = [this, peer](PeerStream& stream) {
    if (on_headers) on_headers(*peer, stream);
  };
  peer->on_request = [this, peer](PeerStream& stream) {
    ++executed;
    if (on_request) on_request(*peer, stream);
  };
  connections.push_back(std::move(made));
  if (on_connected) on_connected(*peer);
  return std::move(theirs);
}

bool FakePlugin::Pump() {
  bool moved = false;
  for (size_t i = 0; i < connections.size(); ++i) moved = connections[i]->Pump() || moved;
  return moved;
}

PeerStream& FakePlugin::stream() { return *connection().streams().begin()->second; }

uint64_t Sums::Ended() const { return std::accumulate(ended.begin(), ended.end(), uint64_t{0}); }

Engine::Engine(const Limits& limits) : load(std::make_shared<PluginLoad>()), shared_(limits) {
  shared_.told.ended = [this](const CallEnd& end) { ends.push_back(end); };
  shared_.told.denied = [this](const Denied& denied) { denials.push_back(denied); };
  worker_ = std::make_unique<Worker>(shared_, clock);
  route.plugin = "echo";
  route.availability = Availability::kReady;
  route.instances = {plugin.instance()};
  route.load = load;
  route.callers.AddEveryone();
  table.services["t.Echo"] = {"echo"};
  Publish();
}

Engine::~Engine() = default;

void Engine::Publish() {
  table.plugins["echo"] = std::make_shared<const Route>(route);
  worker_->TakeRoutes(std::make_shared<const RouteTable>(table));
}

Http2Peer& Engine::Connect(const Door& door, Http2Peer::Options options) {
  callers_.push_back(
      std::make_unique<Http2Peer>(ConnectRaw(door), Http2Peer::Role::kCaller, std::move(options)));
  return *callers_.back();
}

UniqueFd Engine::ConnectRaw(const Door& door) {
  auto [ours, theirs] = Pair();
  CallerConnection::Open(*worker_, std::move(theirs), Caller::User(uid, 1, {uid}),
                         std::make_shared<const Door>(door), false);
  return std::move(ours);
}

void Engine::Settle() {
  for (int quiet = 0; quiet < kQuietRounds; ++quiet) {
    worker_->RunOnce();
    if (plugin.Pump()) quiet = -1;
    for (const auto& caller : callers_) {
      if (caller->Pump()) quiet = -1;
    }
  }
}

void Engine::Advance(Duration by) {
  Settle();
  clock.Advance(by);
  Settle();
}

Sums Engine::sums() const {
  Sums sums;
  worker_->stats().Each([&](const CallSeries& series) {
    sums.admitted += series.admitted.value();
    sums.resent += series.resent.value();
    for (size_t i = 0; i < kOutcomes.size(); ++i) sums.ended[i] += series.ended[i].value();
  });
  return sums;
}

PeerStream Engine::Unary(const Fields& more, std::string_view body) {
  Http2Peer& caller = Connect();
  PeerStream& stream = caller.Call(kEcho, more);
  caller.Send(stream, body);
  caller.End(stream);
  Settle();
  return stream;
}

}  // namespace plugind::gateway::testing
