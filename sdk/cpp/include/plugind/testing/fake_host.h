// A host for unit tests: it serves a plugin within the test's own process, with no daemon, no fork
// and no socket file, and plays what plugind would be to it.
//
// Example:
//   #include <grpcpp/grpcpp.h>
//   #include <gtest/gtest.h>
//   #include <plugind/plugin.h>
//   #include <plugind/testing/fake_host.h>
//
//   #include "greeter.grpc.pb.h"
//
//   class Greeter final : public greeter::v1::Greeter::Service {
//    public:
//     grpc::Status Greet(grpc::ServerContext*, const greeter::v1::GreetRequest* request,
//                        greeter::v1::GreetResponse* response) override {
//       response->set_message(greeting + ", " + request->name() + "!");
//       return grpc::Status::OK;
//     }
//     std::string greeting;
//   };
//
//   TEST(Greeter, GreetsAsItIsConfigured) {
//     Greeter impl;
//     plugind::Plugin plugin("greeter", "1.0.0");
//     plugin.service(&impl).on_configure([&](const plugind::Settings& settings) {
//       impl.greeting = settings.require<std::string>("greeting");
//     });
//
//     plugind::testing::FakeHost host(plugin);
//     EXPECT_EQ(host.configure("{}").at(0).field, "greeting");  // refused: it is missing
//     EXPECT_TRUE(host.configure(R"({"greeting": "Hi"})").empty());
//
//     greeter::v1::GreetRequest request;
//     greeter::v1::GreetResponse response;
//     grpc::ClientContext context;
//     request.set_name("Ada");
//     const auto stub = greeter::v1::Greeter::NewStub(host.channel());
//     EXPECT_TRUE(stub->Greet(&context, request, &response).ok());
//     EXPECT_EQ(response.message(), "Hi, Ada!");
//   }
#pragma once

#include <plugind/export.h>
#include <plugind/plugin.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

namespace grpc {
class Channel;
class Service;
class Status;
}  // namespace grpc

namespace plugind::testing {

// One host with one plugin in it, which must not be served otherwise, before or after.
//
// Thread safety: none but channel(), which any thread may use; the plugin's hooks and services run
// on other threads as they do under plugind. Lifetime: the plugin, its services and those of the
// peers outlive this.
//
// Errors: what would keep the plugin from starting (a mistake in what it declares, an on_start that
// throws) is thrown by the constructor as std::runtime_error, and so is what a host would not let
// pass in negotiate() and configure(). A call of the plugin that never ends, even when cancelled,
// aborts the test at shutdown().
class PLUGIND_EXPORT FakeHost {
 public:
  // Runs on_start and serves the plugin. The magic cookie plays no part here.
  explicit FakeHost(Plugin& plugin);
  ~FakeHost();  // shutdown()
  FakeHost(const FakeHost&) = delete;
  FakeHost& operator=(const FakeHost&) = delete;

  // A capability that this host has beside the built-in ones; call it before negotiate().
  FakeHost& offer(const std::string& capability, const std::string& version = "1.0");

  // Plays the peer `name` for Plugin::peer: calls to it go to `service`. In Plugin::peers it is
  // READY with all its services. Call it for each service, before the plugin asks for a peer. Calls
  // to a peer that nobody plays are PERMISSION_DENIED.
  FakeHost& peer(const std::string& name, grpc::Service& service);

  // What the plugin says of itself, and what is agreed with it by the rule of the contract.
  struct Negotiated {
    std::string name;
    std::string version;
    std::vector<std::string> services;
    std::string config_schema;
    std::map<std::string, std::string> agreed;  // capability to version
  };
  // Throws if the plugin requires what this host has not got.
  Negotiated negotiate();

  // Hands over settings, a JSON object; empty: they are in force. Negotiates if that was not done.
  Violations configure(const std::string& json = "{}");

  // Whether calls would be sent to it: its health for "plugin".
  bool serving();

  // A connection to the plugin, for stubs of its services. Good until shutdown().
  std::shared_ptr<grpc::Channel> channel();

  // The text of the last set_status().
  std::string status_text() const;

  // Runs on_drain, and returns what the host is answered; UNIMPLEMENTED without a hook.
  grpc::Status drain();

  // Whether the plugin has called stop(), on which serve() would end.
  bool stop_requested() const;

  // Ends the plugin as a host does: health, on_shutdown on this thread, then running calls, for as
  // long as shutdown_timeout says. Idempotent.
  void shutdown();

 private:
  struct PLUGIND_LOCAL Inside;
  std::unique_ptr<Inside> inside_;
};

}  // namespace plugind::testing
