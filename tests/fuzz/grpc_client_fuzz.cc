// Any bytes as a plugin's side of the connection by which plugind itself calls it: health,
// services, output, shutdown. What must hold: every call ends at most once, and nothing comes after
// its end.
#include <sys/socket.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "daemon/base/event_loop.h"
#include "daemon/base/unique_fd.h"
#include "daemon/rpc/grpc_connection.h"

namespace {

void Require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "%s\n", what);
  std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  int pair[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) < 0) return 0;
  plugind::UniqueFd plugin(pair[1]);
  plugind::SystemClock clock;
  plugind::EventLoop loop(clock);
  plugind::rpc::GrpcConnection connection(loop, plugind::UniqueFd(pair[0]));
  constexpr int kCalls = 3;
  int ended[kCalls] = {};
  for (int& ends : ended) {
    connection.Call(
        "/t.T/T", "request", std::nullopt,
        [&ends](const std::string&) { Require(ends == 0, "a message after the end"); },
        [&ends](const absl::Status&) { Require(++ends == 1, "a call ended twice"); });
  }
  // One of them has a request that may go on.
  int stream_ends = 0;
  const auto stream = connection.OpenStream(
      "/t.T/T", [&](const std::string&) { Require(stream_ends == 0, "a message after the end"); },
      [&](const absl::Status&) { Require(++stream_ends == 1, "a call ended twice"); });
  connection.Send(stream, "one");
  loop.RunOnce(std::chrono::milliseconds(0));
  (void)::send(plugin.get(), data, size, MSG_NOSIGNAL);
  for (int i = 0; i < 4; ++i) loop.RunOnce(std::chrono::milliseconds(0));
  connection.Send(stream, "two");
  plugin.reset();
  for (int i = 0; i < 4; ++i) loop.RunOnce(std::chrono::milliseconds(0));
  Require(stream_ends == 1, "a stream that its connection's end did not end");
  for (const int ends : ended) Require(ends == 1, "a call that its connection's end did not end");
  return 0;
}
