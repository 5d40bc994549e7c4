// grpc.health.v1 with one answer for everything that the plugin serves: the host asks for "" or
// "plugin", a careful caller for the service that it wants. gRPC's built-in health service is not
// used: it has no descriptor, without which reflection fails. Thread safety: every method may be
// called on any thread.
#pragma once

#include <grpcpp/grpcpp.h>

#include <memory>
#include <mutex>
#include <set>
#include <string>

#include "grpc/health/v1/health.grpc.pb.h"

namespace plugind::sdk {

class HealthService final : public grpc::health::v1::Health::CallbackService {
 public:
  using Status = grpc::health::v1::HealthCheckResponse::ServingStatus;

  HealthService();
  ~HealthService() override;

  // Makes `name` known beside "" and "plugin".
  void Add(const std::string& name);

  void SetServing(bool serving);

  // NOT_SERVING for good, and every Watch ends once it has said so. Before the server's Shutdown,
  // which would wait for them.
  void End();

  grpc::ServerUnaryReactor* Check(grpc::CallbackServerContext* context,
                                  const grpc::health::v1::HealthCheckRequest* request,
                                  grpc::health::v1::HealthCheckResponse* response) override;
  grpc::ServerWriteReactor<grpc::health::v1::HealthCheckResponse>* Watch(
      grpc::CallbackServerContext* context,
      const grpc::health::v1::HealthCheckRequest* request) override;

 private:
  class Watcher;

  Status StatusOf(const std::string& name) const;  // mutex_ held; SERVICE_UNKNOWN if it is
  void AdvanceAll();

  std::mutex mutex_;
  std::set<std::string> names_;
  bool serving_ = true;
  bool ended_ = false;
  // Shared: a Watch may end on a gRPC thread while another thread is telling it of a change.
  std::set<std::shared_ptr<Watcher>> watchers_;
};

}  // namespace plugind::sdk
