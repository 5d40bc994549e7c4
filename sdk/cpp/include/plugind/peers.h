// A plugin among others: who it is to its host, which peers it may call, and how its calls to them
// carry on the trace of the call that they are made for.
//
// Example:
//   #include <grpcpp/grpcpp.h>
//   #include <plugind/plugin.h>
//
//   #include <algorithm>
//
//   #include "greeter.grpc.pb.h"
//
//   // A peer that greets and is up; "" if there is none.
//   std::string FindGreeter(const plugind::Plugin& plugin) {
//     for (const plugind::Peer& peer : plugin.peers()) {
//       const bool greets = std::count(peer.services.begin(), peer.services.end(),
//                                      greeter::v1::Greeter::service_full_name()) > 0;
//       if (greets && peer.state == "READY") return peer.name;
//     }
//     return "";
//   }
//
//   // Passes every call on to a peer, with what is left of its deadline, and in its trace.
//   class Relay final : public greeter::v1::Greeter::Service {
//    public:
//     explicit Relay(const std::shared_ptr<grpc::Channel>& peer)
//         : peer_(greeter::v1::Greeter::NewStub(peer)) {}
//
//     grpc::Status Greet(grpc::ServerContext* served, const greeter::v1::GreetRequest* request,
//                        greeter::v1::GreetResponse* response) override {
//       const auto call = grpc::ClientContext::FromServerContext(*served);
//       plugind::carry_trace(*served, *call);
//       return peer_->Greet(call.get(), *request, response);
//     }
//
//    private:
//     std::unique_ptr<greeter::v1::Greeter::Stub> peer_;
//   };
#pragma once

#include <plugind/export.h>

#include <cstdint>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace grpc {
class ClientContext;
class ServerContextBase;
class Status;
}  // namespace grpc

namespace plugind {

// Who a plugin is, as its host says: Plugin::identity().
struct Identity {
  std::string name;      // in the host's configuration, which need not be what the author chose
  std::string instance;  // another one for each process
  uint32_t protocol_version = 0;
  std::map<std::string, std::string> capabilities;  // agreed ones, with their versions
  std::string host;                                 // "plugind"
  std::string host_version;
};

// A plugin that this one may call: Plugin::peers().
struct Peer {
  std::string name;
  std::string state;                  // as in `pluginctl status`: "READY", "BACKOFF", …
  std::string version;                // what the peer says of itself; may be empty
  std::vector<std::string> services;  // the same
  std::vector<std::string> methods;   // that may be called: "*", "pkg.Service/Method"
};

// The host was asked and did not answer, or not in time.
class PLUGIND_EXPORT HostError : public std::runtime_error {
 public:
  HostError(const std::string& question, const grpc::Status& status);
  ~HostError() override;

  // As of a call to a peer: UNAVAILABLE while plugind restarts, UNIMPLEMENTED from an older one.
  const grpc::Status& status() const { return *status_; }

 private:
  std::shared_ptr<const grpc::Status> status_;  // shared, because exceptions are copied
};

// Puts the trace (traceparent, tracestate) of the call that is being served on a call that is made
// for it, before that starts. One without a trace has none after it either. A context that is given
// a trace otherwise must not be given this one, too.
PLUGIND_EXPORT void carry_trace(const grpc::ServerContextBase& served, grpc::ClientContext& call);

}  // namespace plugind
