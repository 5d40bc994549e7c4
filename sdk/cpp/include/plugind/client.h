// Calls to plugins through plugind, for programs and for plugins that call their peers.
//
// Example:
//   #include <grpcpp/grpcpp.h>
//   #include <plugind/client.h>
//
//   #include <chrono>
//   #include <iostream>
//
//   #include "greeter.grpc.pb.h"
//
//   // Greets; `again` is whether a call that failed may be sent once more without harm.
//   bool Greet(greeter::v1::Greeter::Stub& greeter, const greeter::v1::GreetRequest& request,
//              greeter::v1::GreetResponse& response, bool& again) {
//     grpc::ClientContext context;
//     context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(5));
//     context.set_wait_for_ready(true);  // where plugind may be restarting
//     const grpc::Status status = greeter.Greet(&context, request, &response);
//     if (const auto error = plugind::error_info(status)) {
//       std::cerr << error->reason << '\n';  // e.g. PLUGIN_UNAVAILABLE
//     }
//     // kNo: the plugin has not seen it.
//     again = plugind::executed(context) == plugind::Executed::kNo;
//     return status.ok();
//   }
//
//   // Once, and kept: the channel is good for as long as the program runs.
//   std::unique_ptr<greeter::v1::Greeter::Stub> Connect() {
//     return greeter::v1::Greeter::NewStub(plugind::Client().channel("greeter"));
//   }
#pragma once

#include <plugind/export.h>

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

namespace grpc {
class Channel;
class ChannelArguments;
class ClientContext;
class Status;
}  // namespace grpc

namespace plugind {

// Where plugind is, and the channels to it. A value: cheap to make and to copy, it opens nothing.
//
// Thread safety: channel() and control() may be called on any thread; configure() is called before
// them. Lifetime: a channel outlives the Client that made it. Keep it and make many calls on it;
// stubs on it may be used by any number of threads.
//
// Errors: what can be known at once (a name that is none, a path too long for a socket) is thrown
// as std::invalid_argument, here and nowhere later. That plugind or the plugin is not there is the
// outcome of a call: UNAVAILABLE, at once or, with wait_for_ready, at the call's deadline. The
// channel then connects anew by itself, trying about once a second at the least.
class PLUGIND_EXPORT Client {
 public:
  // Finds plugind by the environment:
  //   $PLUGIND_HOST_ADDRESS  set in every plugin: its own door to its peers. Who may call whom is
  //                          in the plugins' configuration (access.calls and access.callers).
  //   $PLUGIND_SOCKET        plugind.sock, as for pluginctl
  //   otherwise              /run/plugind/plugind.sock for root, else
  //                          $XDG_RUNTIME_DIR/plugind/plugind.sock
  Client();

  // `socket` is plugind.sock, whatever the environment says; a relative path counts from the
  // working directory of this moment.
  explicit Client(const std::string& socket);

  // Sets arguments of each channel that is made from here on, for instance
  // SetMaxReceiveMessageSize. What it leaves unset is gRPC's default, but for these: authority
  // "localhost", backoff 50 ms to 1 s, no HTTP proxy. It runs on the thread that makes the channel.
  Client& configure(std::function<void(grpc::ChannelArguments&)> hook);

  // A channel on which every call goes to the plugin of that name, whatever the method, across its
  // restarts, upgrades and those of plugind. The plugin need not be running, nor exist yet.
  std::shared_ptr<grpc::Channel> channel(const std::string& plugin) const;

  // A channel to plugind itself: its control RPC (plugind.control.v1), health and reflection; and
  // any other service by name, where just one plugin provides it. Within a plugin the control RPC
  // is denied.
  std::shared_ptr<grpc::Channel> control() const;

 private:
  std::shared_ptr<grpc::Channel> Connect(const std::string& socket,
                                         const std::string& plugin) const;

  std::string socket_;    // absolute
  bool is_host_ = false;  // `socket_` is a plugin's own, with its peers behind it
  std::function<void(grpc::ChannelArguments&)> configure_;
};

// What plugind says of an error beside its code and message (google.rpc.ErrorInfo of the domain
// "plugind").
struct ErrorInfo {
  std::string reason;                           // fixed words, e.g. "ACCESS_DENIED"
  std::map<std::string, std::string> metadata;  // e.g. "plugin" and "method"
};

// Nothing if the status carries none: most often the error is then the plugin's own, or plugind was
// not reached. Any thread. It takes time in proportion to the details, which gRPC bounds.
//
// A plugin may write the same into its own errors: it is no proof that plugind has spoken.
PLUGIND_EXPORT std::optional<ErrorInfo> error_info(const grpc::Status& status);

// Whether the plugin has begun to execute a call that ended UNAVAILABLE. plugind alone can say it.
enum class Executed {
  kUnknown,  // nobody said: the plugin answered, or plugind was not reached or was lost
  kNo,       // it has not seen the call
  kMaybe,    // it was lost under the call
};

// Of a call that has ended: after Finish, or in OnDone.
PLUGIND_EXPORT Executed executed(const grpc::ClientContext& context);

}  // namespace plugind
