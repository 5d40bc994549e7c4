// Bytes that a plugin sends to the gateway while it has calls of two callers: whatever they are,
// each call has one end, what callers are told is one well-formed answer, and when the plugin is
// gone, nothing of it is left.
#include <sys/socket.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "daemon/gateway/testing/engine.h"

namespace {

using plugind::gateway::Instance;
using plugind::gateway::InstancePtr;
using plugind::gateway::testing::Engine;
using plugind::gateway::testing::Fields;
using plugind::gateway::testing::Frame;
using plugind::gateway::testing::Http2Peer;
using plugind::gateway::testing::kEcho;
using plugind::gateway::testing::PeerStream;
using plugind::gateway::testing::Sums;

// The plugin's ends of all connections that the gateway has made to it.
struct RawPlugin {
  std::vector<plugind::UniqueFd> connections;
  InstancePtr MakeInstance() {
    auto instance = std::make_shared<Instance>();
    instance->connect = [this](std::string* error) {
      constexpr size_t kEnough = 8;
      int pair[2];
      if (connections.size() >= kEnough ||
          ::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0) {
        *error = "refused";
        return plugind::UniqueFd();
      }
      connections.emplace_back(pair[0]);
      return plugind::UniqueFd(pair[1]);
    };
    return instance;
  }
  void Say(std::string_view bytes) {
    for (const plugind::UniqueFd& fd : connections) {
      if (!bytes.empty()) {
        (void)!::send(fd.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
      }
      char requests[65536];
      while (::recv(fd.get(), requests, sizeof requests, MSG_DONTWAIT) > 0) {
      }
    }
  }
};

void CheckAnswer(const PeerStream& stream) {
  const auto statuses =
      std::count_if(stream.trailers.begin(), stream.trailers.end(),
                    [](const auto& field) { return field.first == "plugind-executed"; });
  if (statuses > 1) std::abort();
  for (const Fields* fields : {&stream.headers, &stream.trailers}) {
    for (const auto& [name, value] : *fields) {
      for (const char c : value) {
        if (c < 0x20 || c > 0x7e) std::abort();
      }
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  RawPlugin plugin;
  Engine engine;
  engine.route.instances = {plugin.MakeInstance()};
  engine.route.idempotent = {kEcho};
  engine.Publish();
  Http2Peer& caller = engine.Connect();
  PeerStream& unary = caller.Call(kEcho, {{"grpc-timeout", "20S"}});
  caller.Send(unary, "hello");
  caller.End(unary);
  PeerStream& stream = engine.Connect().Call("/t.Echo/Stream", {{"grpc-timeout", "20S"}});
  engine.Settle();

  plugin.Say(Frame(NGHTTP2_SETTINGS, 0, 0, ""));
  plugin.Say(input.substr(0, size / 2));
  engine.Settle();
  engine.Advance(std::chrono::milliseconds(20));
  plugin.Say(input.substr(size / 2));
  engine.Settle();
  for (plugind::UniqueFd& fd : plugin.connections) fd.reset();
  engine.Settle();
  engine.Advance(std::chrono::seconds(20));

  const Sums sums = engine.sums();
  if (sums.admitted != 2 || sums.Ended() != 2) std::abort();
  if (!unary.closed || !stream.closed) std::abort();
  if (engine.worker().calls() != 0 || engine.worker().kept() != 0) std::abort();
  CheckAnswer(unary);
  CheckAnswer(stream);
  return 0;
}
