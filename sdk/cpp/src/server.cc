#include "sdk/cpp/src/server.h"

#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/impl/server_builder_option.h>
#include <grpcpp/impl/server_builder_plugin.h>
#include <grpcpp/impl/server_initializer.h>

#include <chrono>

#include "sdk/cpp/src/failure.h"

namespace plugind::sdk {
namespace {

// A grpc::Service does not tell its name, but the server that has registered it does.
class ListServices final : public grpc::ServerBuilderPlugin {
 public:
  explicit ListServices(std::vector<std::string>& services) : services_(services) {}
  std::string name() override { return "plugind_list_services"; }
  void InitServer(grpc::ServerInitializer* /*initializer*/) override {}
  void Finish(grpc::ServerInitializer* initializer) override {
    services_ = *initializer->GetServiceList();
  }
  void ChangeArguments(const std::string& /*name*/, void* /*value*/) override {}

 private:
  std::vector<std::string>& services_;
};

class AddListServices final : public grpc::ServerBuilderOption {
 public:
  explicit AddListServices(std::vector<std::string>& services) : services_(services) {}
  void UpdateArguments(grpc::ChannelArguments* /*arguments*/) override {}
  void UpdatePlugins(std::vector<std::unique_ptr<grpc::ServerBuilderPlugin>>* plugins) override {
    plugins->push_back(std::make_unique<ListServices>(services_));
  }

 private:
  std::vector<std::string>& services_;
};

}  // namespace

grpc::ServerUnaryReactor* ControllerService::Shutdown(grpc::CallbackServerContext* context,
                                                      const ::plugin::Empty* /*request*/,
                                                      ::plugin::Empty* /*response*/) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  reactor->Finish(grpc::Status::OK);
  on_shutdown_();
  return reactor;
}

Server::~Server() {
  if (server != nullptr) server->Shutdown(std::chrono::system_clock::now());
}

void Server::Accept(int fd) const {
  grpc::experimental::ExternalConnectionAcceptor::NewConnectionParameters connection;
  connection.fd = fd;
  acceptor->HandleNewConnection(&connection);
}

void NoteServices(grpc::ServerBuilder& builder, std::vector<std::string>& services) {
  builder.SetOption(std::make_unique<AddListServices>(services));
}

Server BuildServer(const std::vector<grpc::Service*>& services,
                   const std::shared_ptr<grpc::ServerCredentials>& credentials,
                   const std::function<void(grpc::ServerBuilder&)>& configure) {
  // Once for the process, however often it is called; before the builder, which looks for it when
  // it is made.
  grpc::reflection::InitProtoReflectionServerBuilderPlugin();
  Server built;
  grpc::ServerBuilder builder;
  NoteServices(builder, built.services);
  for (grpc::Service* service : services) builder.RegisterService(service);
  built.acceptor = builder.experimental().AddExternalConnectionAcceptor(
      grpc::ServerBuilder::experimental_type::ExternalConnectionType::FROM_FD, credentials);
  built.calls = std::make_unique<CallCount>();
  std::vector<std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface>> interceptors;
  interceptors.push_back(CallCount::Interceptor(*built.calls));
  builder.experimental().SetInterceptorCreators(std::move(interceptors));
  if (configure) configure(builder);
  built.server = builder.BuildAndStart();
  if (built.server == nullptr) {
    throw Failure("gRPC refused to start the server; is a service added twice?");
  }
  return built;
}

bool IsInfrastructure(const std::string& service) {
  return service.rfind("grpc.", 0) == 0 || service.rfind("plugin.GRPC", 0) == 0 ||
         service.rfind("plugind.plugin.", 0) == 0;
}

}  // namespace plugind::sdk
