#include "daemon/control/health_service.h"

#include <memory>

#include "plugind/control/v1/control.grpc.pb.h"

namespace plugind::control {

using grpc::health::v1::HealthCheckRequest;
using grpc::health::v1::HealthCheckResponse;

// What an error repeats of a name that somebody made up.
constexpr size_t kMaxName = 100;

HealthCheckResponse::ServingStatus HealthService::StatusOf(const std::string& service) const {
  if (service.empty() || service == v1::PluginControl::service_full_name())
    return HealthCheckResponse::SERVING;
  const auto plugin = supervisor_.Get(service);
  if (!plugin.ok()) return HealthCheckResponse::SERVICE_UNKNOWN;
  return plugin->state == supervisor::State::kReady ? HealthCheckResponse::SERVING
                                                    : HealthCheckResponse::NOT_SERVING;
}

grpc::ServerUnaryReactor* HealthService::Check(grpc::CallbackServerContext* context,
                                               const HealthCheckRequest* request,
                                               HealthCheckResponse* response) {
  grpc::ServerUnaryReactor* const reactor = context->DefaultReactor();
  loop_.Post([this, reactor, caller = CallerOf(*context), request, response] {
    const grpc::Status admitted = gate_.Admit(caller, Method::kHealthCheck, request->service());
    if (!admitted.ok()) return reactor->Finish(admitted);
    const auto status = StatusOf(request->service());
    if (status == HealthCheckResponse::SERVICE_UNKNOWN) {
      reactor->Finish(
          {grpc::StatusCode::NOT_FOUND,
           "no plugin named \"" + request->service().substr(0, kMaxName) + "\" is configured"});
      return;
    }
    response->set_status(status);
    reactor->Finish(grpc::Status::OK);
  });
  return reactor;
}

grpc::ServerWriteReactor<HealthCheckResponse>* HealthService::Watch(
    grpc::CallbackServerContext* context, const HealthCheckRequest* request) {
  auto last = std::make_shared<HealthCheckResponse::ServingStatus>(HealthCheckResponse::UNKNOWN);
  return new LoopStream<HealthCheckResponse>(
      loop_, followers_,
      [this, caller = CallerOf(*context), service = request->service()] {
        return gate_.Admit(caller, Method::kHealthWatch, service);
      },
      [this, service = request->service(), last](HealthCheckResponse* response) {
        const auto status = StatusOf(service);
        if (status == *last) return Turn::Wait();
        *last = status;
        response->set_status(status);
        return Turn::Write();
      });
}

}  // namespace plugind::control
