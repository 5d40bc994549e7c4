// plugind.plugin.v1.Plugin: what the plugin tells its host and what the host hands over. It is
// filled in before the server starts; then Negotiate answers at once, and Configure and Drain run
// the author's hooks on a Worker. Thread safety: agreed() and settings() may be called on any
// thread, at any time; the fields are set on one thread before any call comes.
#pragma once

#include <grpcpp/grpcpp.h>

#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>

#include "plugind/plugin/v1/plugin.grpc.pb.h"
#include "plugind/settings.h"
#include "sdk/cpp/src/worker.h"

namespace plugind::sdk {

class ContractService final : public plugin::v1::Plugin::CallbackService {
 public:
  // Empty: any settings are taken, and kept for settings().
  std::function<Violations(const Settings&)> on_configure;
  // Empty: Drain is UNIMPLEMENTED.
  std::function<void()> on_drain;
  // Called on a gRPC thread; must not wait.
  std::function<void()> on_shutdown;
  // The answer to Negotiate.
  plugin::v1::NegotiateResponse description;

  std::optional<std::string> agreed(const std::string& capability) const;
  Settings settings() const;

  grpc::ServerUnaryReactor* Negotiate(grpc::CallbackServerContext* context,
                                      const plugin::v1::NegotiateRequest* request,
                                      plugin::v1::NegotiateResponse* response) override;
  grpc::ServerUnaryReactor* Configure(grpc::CallbackServerContext* context,
                                      const plugin::v1::ConfigureRequest* request,
                                      plugin::v1::ConfigureResponse* response) override;
  grpc::ServerUnaryReactor* Drain(grpc::CallbackServerContext* context,
                                  const plugin::v1::DrainRequest* request,
                                  plugin::v1::DrainResponse* response) override;
  grpc::ServerUnaryReactor* Shutdown(grpc::CallbackServerContext* context,
                                     const plugin::v1::ShutdownRequest* request,
                                     plugin::v1::ShutdownResponse* response) override;

 private:
  using Agreed = std::map<std::string, std::string>;

  Violations Apply(const plugin::v1::ConfigureRequest& request);

  mutable std::mutex mutex_;
  Agreed agreed_;
  Settings settings_;
  Worker worker_;  // last: its tasks use the others
};

}  // namespace plugind::sdk
