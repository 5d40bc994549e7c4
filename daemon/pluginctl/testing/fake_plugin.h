// A plugin behind the gateway of a fake daemon: echo.v1.Echo, and reflection that says what the
// test wants said. As with plugind, only calls with the metadata plugind-plugin: NAME reach it.
//
// Thread-safe: the test's thread scripts it while gRPC's threads serve.
#pragma once

#include <grpc/reflection/v1/reflection.pb.h>
#include <grpcpp/grpcpp.h>

#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "daemon/pluginctl/testing/echo.grpc.pb.h"

namespace plugind::pluginctl::testing {

class FakePlugin final : private echo::v1::Echo::Service {
 public:
  static constexpr const char* kName = "echo";

  enum class Reflection {
    kNone,
    kV1,
    kV1Alpha,
  };

  // Before the server is started, which the plugin outlives; then one after it may have it.
  void Register(grpc::ServerBuilder* builder);

  void Offer(Reflection reflection);
  // From now on all of these answer a question about a symbol, and one of them that about a file.
  void Describe(std::vector<google::protobuf::FileDescriptorProto> files);
  void DescribeInBytes(std::vector<std::string> files);
  // Reflection ends with this status.
  void FailReflection(grpc::Status status);
  // The next questions of this number end as if the plugin had died under them.
  void LoseReflection(int questions);

  int calls() const;
  // What came with the newest call; empty: it was not there.
  std::string Received(const std::string& key) const;
  // Each waits for 20 s at most, and fails the test after that.
  void AwaitCalls(int count) const;
  void AwaitCancelled(int count) const;

 private:
  using Context = grpc::ServerContext;
  using Message = echo::v1::Message;
  class ReflectionCall;
  class ReflectionService;

  grpc::Status Say(Context*, const Message*, Message*) override;
  grpc::Status Collect(Context*, grpc::ServerReader<Message>*, Message*) override;
  grpc::Status Repeat(Context*, const Message*, grpc::ServerWriter<Message>*) override;
  grpc::Status Chat(Context*, grpc::ServerReaderWriter<Message, Message>*) override;
  grpc::Status Fail(Context*, const echo::v1::Failure*, Message*) override;
  grpc::Status Hang(Context*, const Message*, grpc::ServerWriter<Message>*) override;
  grpc::ServerGenericBidiReactor* Reflect(grpc::GenericCallbackServerContext* context);

  // Whether the call is for this plugin.
  grpc::Status Admit(Context* context);
  void NoteCancelled(Context* context);
  grpc::reflection::v1::ServerReflectionResponse Answer(
      const grpc::reflection::v1::ServerReflectionRequest& question) const;

  std::unique_ptr<grpc::CallbackGenericService> reflection_service_;
  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  Reflection reflection_ = Reflection::kV1Alpha;
  std::optional<std::vector<std::string>> files_;
  grpc::Status reflection_end_;
  int to_lose_ = 0;
  int calls_ = 0;
  int cancelled_ = 0;
  std::multimap<std::string, std::string> received_;
};

}  // namespace plugind::pluginctl::testing
