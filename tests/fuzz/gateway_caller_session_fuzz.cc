// Bytes that a caller sends to the gateway, from its preface on: whatever they are, each call that
// was admitted has one end, and when the caller is gone, nothing of it is left.
#include <sys/socket.h>

#include <cstdint>
#include <cstdlib>
#include <string>

#include "daemon/gateway/testing/engine.h"

namespace {

using plugind::gateway::Door;
using plugind::gateway::testing::Engine;
using plugind::gateway::testing::kEcho;
using plugind::gateway::testing::Sums;

// Sends what the socket takes, and reads what there is.
void Exchange(Engine& engine, int fd, std::string_view bytes) {
  if (!bytes.empty()) (void)!::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  engine.Settle();
  char answers[65536];
  while (::recv(fd, answers, sizeof answers, MSG_DONTWAIT) > 0) engine.worker().RunOnce();
  engine.Settle();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  Engine engine;
  engine.route.idempotent = {kEcho};
  engine.Publish();
  {
    const plugind::UniqueFd caller = engine.ConnectRaw({Door::Kind::kFront, ""});
    Exchange(engine, caller.get(), "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    Exchange(engine, caller.get(), input.substr(0, size / 2));
    engine.clock.Advance(std::chrono::seconds(1));
    Exchange(engine, caller.get(), input.substr(size / 2));
    engine.clock.Advance(std::chrono::seconds(1));
    Exchange(engine, caller.get(), "");
  }
  engine.Settle();
  const Sums sums = engine.sums();
  if (sums.admitted != sums.Ended()) std::abort();
  if (engine.worker().calls() != 0 || engine.worker().kept() != 0) std::abort();
  if (engine.load->in_flight.load() != 0) std::abort();
  return 0;
}
