// What is behind plugind::Plugin: what the author declared, and the SDK's own services and links.
// serve() and testing::FakeHost both serve it, each in its own surroundings. Thread safety: as
// plugind::Plugin.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "plugind/plugin.h"
#include "sdk/cpp/src/broker_service.h"
#include "sdk/cpp/src/contract_service.h"
#include "sdk/cpp/src/handshake.h"
#include "sdk/cpp/src/health_service.h"
#include "sdk/cpp/src/host_link.h"
#include "sdk/cpp/src/lifeline.h"
#include "sdk/cpp/src/listener.h"
#include "sdk/cpp/src/server.h"
#include "sdk/cpp/src/stdio_service.h"
#include "sdk/cpp/src/stdout_capture.h"

namespace plugind {

struct Plugin::Impl {
  struct CapabilityCall {  // of provides() and require(), checked by Describe
    std::string name;
    std::string version;
    bool required;
  };

  std::string name;
  std::string version;
  std::string cookie_key = "PLUGIND_PLUGIN";
  std::string cookie_value = "1";
  std::vector<int> protocol_versions;  // empty: {1}
  std::vector<CapabilityCall> capabilities;
  std::string config_schema;
  std::vector<grpc::Service*> services;
  std::function<void()> on_start;
  std::function<void()> on_shutdown;
  std::function<void(grpc::ServerBuilder&)> configure;
  std::chrono::milliseconds shutdown_timeout{5000};

  sdk::HealthService health;
  sdk::Lifeline lifeline;
  sdk::HostLink host;
  sdk::ContractService contract;  // last: a hook that still runs may use the others

  std::vector<int> ProtocolVersions() const {
    return protocol_versions.empty() ? std::vector<int>{1} : protocol_versions;
  }

  // Checks what the author declared and makes of it what the host is told. Throws sdk::Failure.
  void Describe();
  // What serves the author's services, and `more` beside the SDK's own. After Describe.
  sdk::Server Build(const std::vector<grpc::Service*>& more,
                    const std::shared_ptr<grpc::ServerCredentials>& credentials);
  // Tells host and author of the end: NOT_SERVING, then on_shutdown.
  void End();
  void PrintInfo() const;
  void Explain(const sdk::Offer& offer, const std::string& program) const;
  void Serve(const sdk::Offer& offer);
  void Shutdown(sdk::UnixListener& listener, sdk::StdoutCapture* capture, sdk::StdioService& stdio,
                sdk::BrokerService& broker, const sdk::Server& server);
};

}  // namespace plugind
