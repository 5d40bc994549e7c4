#include "daemon/control/control_server.h"

#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/generic/async_generic_service.h>
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

class ControlServer::Refusal final : public grpc::CallbackGenericService {
 public:
  grpc::ServerGenericBidiReactor* CreateReactor(grpc::GenericCallbackServerContext*) override {
    struct Refuse final : grpc::ServerGenericBidiReactor {
      void OnDone() override { delete this; }
    };
    auto* reactor = new Refuse;
    reactor->Finish(AccessDenied(
        "plugind's control socket serves root and plugind's own user; you are neither"));
    return reactor;
  }
};

ControlServer::ControlServer(const DaemonParts& parts)
    : loop_(parts.loop),
      service_(parts, followers_),
      health_(parts.loop, parts.supervisor, followers_),
      refusal_(std::make_unique<Refusal>()) {
  grpc::reflection::InitProtoReflectionServerBuilderPlugin();
  grpc::ServerBuilder builder;
  builder.RegisterService(&service_);
  builder.RegisterService(&health_);
  server_ = Build(builder);
  grpc::ServerBuilder refusing;
  refusing.RegisterCallbackGenericService(refusal_.get());
  refusing_server_ = Build(refusing);
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
    refusing_server_->Shutdown(deadline);
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

void ControlServer::Refuse(UniqueFd connection) {
  grpc::AddInsecureChannelFromFd(refusing_server_.get(), connection.release());
}

}  // namespace plugind::control
