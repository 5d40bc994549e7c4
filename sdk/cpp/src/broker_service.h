// plugin.GRPCBroker: go-plugin hosts open its one stream as they connect, and hold it for as long
// as they live, to agree on further sockets. The SDK has no use for those, so the stream is taken
// and held open, and what comes on it is passed over. Thread safety: every method may be called on
// any thread.
#pragma once

#include <grpcpp/grpcpp.h>

#include <memory>
#include <mutex>
#include <set>

#include "plugin/go_plugin.grpc.pb.h"

namespace plugind::sdk {

class BrokerService final : public ::plugin::GRPCBroker::CallbackService {
 public:
  BrokerService();
  ~BrokerService() override;

  // Ends every stream. Before the server's Shutdown, which would wait for them.
  void End();

  grpc::ServerBidiReactor<::plugin::ConnInfo, ::plugin::ConnInfo>* StartStream(
      grpc::CallbackServerContext* context) override;

 private:
  class Stream;

  std::mutex mutex_;
  std::set<std::shared_ptr<Stream>> streams_;
  bool ended_ = false;
};

}  // namespace plugind::sdk
