// One process of the plugin with which a handshake was tried, and the calls that a host makes of
// it. One thread, but calls may be made from others too.
#pragma once

#include <grpcpp/grpcpp.h>

#include <memory>
#include <string>

#include "daemon/base/status.h"
#include "daemon/pluginctl/conformance/handshake.h"
#include "daemon/pluginctl/conformance/host_process.h"
#include "daemon/pluginctl/conformance/subject.h"
#include "plugind/plugin/v1/plugin.grpc.pb.h"

namespace plugind::pluginctl::conformance {

namespace contract = ::plugind::plugin::v1;

class Instance {
 public:
  // Waits for the handshake of `process`, which may not come: then its line is empty.
  Instance(const Subject& subject, std::unique_ptr<HostProcess> process, std::string directory,
           const std::vector<uint32_t>& offered, Deadline begun);

  HostProcess& process() { return *process_; }
  const Handshake& handshake() const { return handshake_; }
  bool has_handshake() const { return !handshake_.line.empty(); }
  const std::vector<uint32_t>& offered() const { return offered_; }
  const std::string& directory() const { return directory_; }
  const std::shared_ptr<grpc::Channel>& channel() const { return channel_; }

  // Why a host would not go on after this handshake; OK if it would.
  absl::Status Acceptable() const;
  // What happened instead of a handshake.
  absl::Status NoHandshake();

  // Of the calls below each takes at most kAnswer, unless a limit is given.
  static constexpr Milliseconds kAnswer{5000};

  // grpc.health.v1 Check; *serving: the answer is SERVING.
  grpc::Status Check(const std::string& service, bool* serving, Milliseconds limit = kAnswer);
  // As a host does at a start: of "plugin", or of "" where that is unknown.
  absl::Status AwaitServing();
  // It is there and SERVING; `after` says what it has just been through.
  absl::Status StillServing(std::string_view after);

  grpc::Status Negotiate(const contract::NegotiateRequest& request,
                         contract::NegotiateResponse* response);
  grpc::Status Configure(const contract::ConfigureRequest& request,
                         contract::ConfigureResponse* response);
  grpc::Status Drain();
  grpc::Status Shutdown();
  grpc::Status ControllerShutdown();
  // Any method, with these bytes for its request.
  grpc::Status CallUnary(const std::string& method, const std::string& request,
                         std::string* response, Milliseconds limit = kAnswer);

  // What today's plugind would say to it.
  contract::NegotiateRequest TodaysOffer() const;
  contract::ConfigureRequest Settings(const google::protobuf::Struct& settings) const;
  // Negotiate and Configure, as today's plugind does at a start; either may be UNIMPLEMENTED.
  absl::Status Introduce();
  const contract::NegotiateResponse& negotiated() const { return negotiated_; }
  bool negotiates() const { return negotiates_; }
  bool configures() const { return configures_; }
  // Why its settings were refused.
  const absl::Status& configured() const { return configured_; }

  // Configure. InvalidArgument: it refused `what`. Unimplemented: it takes no settings.
  absl::Status TryToConfigure(const contract::ConfigureRequest& request, std::string_view what);
  absl::Status TryToConfigure(const google::protobuf::Struct& settings, std::string_view what);

  // "it has died meanwhile (exit code 3)", or "" while it lives.
  std::string Death();

 private:
  void AwaitHandshake(Deadline begun);

  const Subject& subject_;
  const std::unique_ptr<HostProcess> process_;
  const std::string directory_;
  const std::vector<uint32_t> offered_;
  Handshake handshake_;
  std::shared_ptr<grpc::Channel> channel_;
  contract::NegotiateResponse negotiated_;
  std::map<std::string, std::string> agreed_;
  bool negotiates_ = false;
  bool configures_ = false;
  absl::Status configured_;
  uint64_t generation_ = 0;
};

// "UNAVAILABLE: Socket closed".
std::string Words(const grpc::Status& status);
// "a: must be positive; b: unknown".
std::string Words(const contract::ConfigureResponse& response);

}  // namespace plugind::pluginctl::conformance
