// The gRPC server of a plugin: the author's services and what every host expects beside them. It is
// given its connections one by one and owns no listener; see listener.h for why.
#pragma once

#include <grpcpp/grpcpp.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "plugin/go_plugin.grpc.pb.h"
#include "sdk/cpp/src/call_count.h"

namespace plugind::sdk {

// plugin.GRPCController: how a host asks the plugin to end.
class ControllerService final : public ::plugin::GRPCController::CallbackService {
 public:
  // `on_shutdown` is called on a gRPC thread and must not wait.
  explicit ControllerService(std::function<void()> on_shutdown)
      : on_shutdown_(std::move(on_shutdown)) {}

  grpc::ServerUnaryReactor* Shutdown(grpc::CallbackServerContext* context,
                                     const ::plugin::Empty* request,
                                     ::plugin::Empty* response) override;

 private:
  std::function<void()> on_shutdown_;
};

struct Server {
  Server() = default;
  Server(Server&&) = default;
  Server& operator=(Server&&) = delete;
  // Cancels what still runs; grpc::Server's own destructor would wait for it.
  ~Server();

  std::unique_ptr<CallCount> calls;   // outlives `server`, which uses it
  std::vector<std::string> services;  // every one that it serves, by full name
  std::unique_ptr<grpc::experimental::ExternalConnectionAcceptor> acceptor;
  std::unique_ptr<grpc::Server> server;

  // Takes over an accepted connection. On any thread.
  void Accept(int fd) const;
};

// Fills `services` with the full names of what `builder` serves, once that is started.
void NoteServices(grpc::ServerBuilder& builder, std::vector<std::string>& services);

// Starts serving `services`, with reflection, on the connections that Accept is given, which
// `credentials` lets in. `configure` may be empty and has the last word. Throws Failure.
Server BuildServer(const std::vector<grpc::Service*>& services,
                   const std::shared_ptr<grpc::ServerCredentials>& credentials,
                   const std::function<void(grpc::ServerBuilder&)>& configure);

// True for what the SDK and gRPC add: not the author's own.
bool IsInfrastructure(const std::string& service);

}  // namespace plugind::sdk
