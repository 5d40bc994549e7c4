#include "daemon/control/control_server.h"

#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/server_builder.h>
#include <grpcpp/server_posix.h>

#include <atomic>
#include <chrono>

#include "daemon/control/convert.h"

namespace plugind::control {
namespace {

std::unique_ptr<grpc::Server> Build(grpc::ServerBuilder& builder) {
  // Requests are a name and a few numbers.
  constexpr int kMaxRequest = 64 * 1024;
  builder.SetMaxReceiveMessageSize(kMaxRequest);
  return builder.BuildAndStart();
}

}  // namespace

ControlServer::ControlServer(const DaemonParts& parts)
    : loop_(parts.loop),
      gate_(parts.audit, parts.denied),
      service_(parts, followers_, gate_),
      health_(parts.loop, parts.supervisor, followers_, gate_),
      host_(parts.loop, parts.supervisor) {
  grpc::reflection::InitProtoReflectionServerBuilderPlugin();
  grpc::ServerBuilder builder;
  builder.RegisterService(&service_);
  builder.RegisterService(&health_);
  builder.RegisterService(&host_);
  server_ = Build(builder);
}

ControlServer::~ControlServer() {
  followers_.EndAll({grpc::StatusCode::UNAVAILABLE, "plugind is shutting down"});
  // Shutdown returns when the last call has finished, and calls finish on the loop: it waits on a
  // thread of its own.
  std::atomic<bool> done = false;
  std::thread waiter([&] {
    // Calls that have been answered are flushed meanwhile. An idle client would otherwise hold this
    // up for as long as it likes to stay connected.
    const auto deadline = std::chrono::system_clock::now() + std::chrono::milliseconds(100);
    server_->Shutdown(deadline);
    done = true;
    loop_.Post([] {});
  });
  while (!done) loop_.RunOnce(std::chrono::milliseconds(100));
  waiter.join();
  // Streams that are done have posted their own destruction.
  loop_.RunOnce(std::chrono::milliseconds(0));
}

void ControlServer::Serve(UniqueFd connection) {
  grpc::AddInsecureChannelFromFd(server_.get(), connection.release());
}

}  // namespace plugind::control
