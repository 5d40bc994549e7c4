#include "sdk/cpp/src/contract_service.h"

#include <exception>
#include <utility>

namespace plugind::sdk {

using plugin::v1::ConfigureRequest;
using plugin::v1::ConfigureResponse;
using plugin::v1::DrainRequest;
using plugin::v1::DrainResponse;
using plugin::v1::NegotiateRequest;
using plugin::v1::NegotiateResponse;
using plugin::v1::ShutdownRequest;
using plugin::v1::ShutdownResponse;

std::optional<std::string> ContractService::agreed(const std::string& capability) const {
  std::lock_guard lock(mutex_);
  const auto found = agreed_.find(capability);
  if (found == agreed_.end()) return std::nullopt;
  return found->second;
}

Settings ContractService::settings() const {
  std::lock_guard lock(mutex_);
  return settings_;
}

grpc::ServerUnaryReactor* ContractService::Negotiate(grpc::CallbackServerContext* context,
                                                     const NegotiateRequest* /*request*/,
                                                     NegotiateResponse* response) {
  *response = description;
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  reactor->Finish(grpc::Status::OK);
  return reactor;
}

// What was agreed is known before the hook runs, which may ask for it; the settings are in force
// once the hook has taken them.
Violations ContractService::Apply(const ConfigureRequest& request) {
  Settings settings(request.settings());
  {
    std::lock_guard lock(mutex_);
    agreed_ = Agreed(request.capabilities().begin(), request.capabilities().end());
  }
  Violations violations;
  if (on_configure) {
    try {
      violations = on_configure(settings);
    } catch (const BadSetting& bad) {
      violations = {{bad.field(), bad.reason()}};
    } catch (const std::exception& error) {
      violations = {{"", error.what()}};
    } catch (...) {
      violations = {{"", "on_configure threw what is no std::exception"}};
    }
  }
  if (violations.empty()) {
    std::lock_guard lock(mutex_);
    settings_ = std::move(settings);
  }
  return violations;
}

// The call is finished by the worker even where the host has given up meanwhile: gRPC keeps the
// request and the response until then.
grpc::ServerUnaryReactor* ContractService::Configure(grpc::CallbackServerContext* context,
                                                     const ConfigureRequest* request,
                                                     ConfigureResponse* response) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  worker_.Run([this, request, response, reactor] {
    for (const Violation& each : Apply(*request)) {
      auto* violation = response->add_violations();
      violation->set_field(each.field);
      violation->set_reason(each.reason);
    }
    reactor->Finish(grpc::Status::OK);
  });
  return reactor;
}

grpc::ServerUnaryReactor* ContractService::Drain(grpc::CallbackServerContext* context,
                                                 const DrainRequest* /*request*/,
                                                 DrainResponse* /*response*/) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  if (!on_drain) {
    reactor->Finish({grpc::StatusCode::UNIMPLEMENTED, "the plugin has nothing to drain"});
    return reactor;
  }
  worker_.Run([this, reactor] {
    grpc::Status status;
    try {
      on_drain();
    } catch (const std::exception& error) {
      status = {grpc::StatusCode::INTERNAL, std::string("on_drain: ") + error.what()};
    } catch (...) {
      status = {grpc::StatusCode::INTERNAL, "on_drain threw what is no std::exception"};
    }
    reactor->Finish(status);
  });
  return reactor;
}

grpc::ServerUnaryReactor* ContractService::Shutdown(grpc::CallbackServerContext* context,
                                                    const ShutdownRequest* /*request*/,
                                                    ShutdownResponse* /*response*/) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  reactor->Finish(grpc::Status::OK);
  on_shutdown();
  return reactor;
}

}  // namespace plugind::sdk
