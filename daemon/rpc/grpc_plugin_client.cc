#include "daemon/rpc/grpc_plugin_client.h"

#include <google/protobuf/empty.pb.h>
#include <grpcpp/create_channel_posix.h>

#include <algorithm>
#include <string>
#include <utility>

#include "daemon/rpc/dial.h"
#include "grpc/health/v1/health.grpc.pb.h"
#include "plugin/go_plugin.grpc.pb.h"

namespace plugind::rpc {
namespace {

using grpc::health::v1::Health;
using grpc::health::v1::HealthCheckRequest;
using grpc::health::v1::HealthCheckResponse;
using supervisor::Endpoint;

constexpr Duration kFirstRedial = std::chrono::milliseconds(1);
constexpr Duration kLastRedial = std::chrono::milliseconds(50);
// go-plugin's name for the whole plugin, and gRPC's for the whole server. A plugin has at least one
// of them.
constexpr const char* kPluginService = "plugin";
constexpr const char* kWholeServer = "";

class GrpcPluginClient final : public supervisor::PluginClient {
 public:
  GrpcPluginClient(EventLoop& loop, PendingCalls& all_calls, Endpoint endpoint)
      : loop_(loop),
        all_calls_(all_calls),
        endpoint_(std::move(endpoint)),
        redial_(loop.timers()) {}
  ~GrpcPluginClient() override { own_calls_->CancelAll(); }

  void Connect(Instant deadline, std::function<void(absl::Status)> done) override {
    TryConnect(deadline, kFirstRedial, std::move(done));
  }

  void CheckHealth(Duration timeout, std::function<void(absl::StatusOr<bool>)> done) override {
    if (health_ == nullptr) {
      // The connection broke earlier.
      if (const absl::Status dialled = Open(); !dialled.ok()) {
        PostUnlessGone([done = std::move(done), dialled] { done(dialled); });
        return;
      }
    }
    Check(service_, timeout, std::move(done));
  }

  void WatchHealth(std::function<void(absl::StatusOr<bool>)> update) override {
    if (health_ == nullptr) {
      PostUnlessGone([update] { update(absl::UnavailableError("not connected")); });
      return;
    }
    const std::weak_ptr<PendingCalls> alive = own_calls_;
    auto* reader = MakeReader<HealthCheckRequest, HealthCheckResponse>(
        [alive, update](const HealthCheckResponse& response) {
          if (!alive.expired()) update(response.status() == HealthCheckResponse::SERVING);
        },
        [this, update](const grpc::Status& status) {
          if (std::exchange(watch_, nullptr) == nullptr) return;  // given up by StopWatching
          update(status.ok() ? absl::UnavailableError("the plugin ended the stream")
                             : FromGrpc(status));
        });
    watch_ = &reader->context();
    reader->request().set_service(service_);
    health_->async()->Watch(&reader->context(), &reader->request(), reader);
    reader->Begin();
  }

  void StopWatching() override {
    if (watch_ != nullptr) std::exchange(watch_, nullptr)->TryCancel();
  }

  void StreamOutput(std::function<void(bool, std::string_view)> chunk) override {
    const std::weak_ptr<PendingCalls> alive = own_calls_;
    auto* reader = MakeReader<google::protobuf::Empty, plugin::StdioData>(
        [alive, chunk = std::move(chunk)](const plugin::StdioData& data) {
          if (!alive.expired()) chunk(data.channel() == plugin::StdioData::STDERR, data.data());
        },
        [](const grpc::Status&) {});  // most plugins do not have this service
    plugin::GRPCStdio::NewStub(channel_)->async()->StreamStdio(&reader->context(),
                                                               &reader->request(), reader);
    reader->Begin();
  }

  void Shutdown(Duration timeout, std::function<void(absl::Status)> done) override {
    if (channel_ == nullptr) {
      PostUnlessGone([done = std::move(done)] { done(absl::UnimplementedError("not connected")); });
      return;
    }
    auto call = std::make_shared<UnaryCall<plugin::Empty, plugin::Empty>>();
    Prepare(call->context, timeout);
    plugin::GRPCController::NewStub(channel_)->async()->Shutdown(
        &call->context, &call->request, &call->response,
        Finish(call, [done = std::move(done)](const grpc::Status& status, const auto&) {
          done(FromGrpc(status));
        }));
  }

 private:
  // An answer that needs no call, given as if by one: later, and not at all if this client is gone.
  void PostUnlessGone(std::function<void()> answer) {
    loop_.Post([alive = std::weak_ptr<PendingCalls>(own_calls_), answer = std::move(answer)] {
      if (!alive.expired()) answer();
    });
  }

  absl::Status Open() {
    ASSIGN_OR_RETURN(UniqueFd fd, Dial(endpoint_));
    // "localhost" becomes the calls' :authority; some servers refuse an escaped socket path there.
    channel_ = grpc::CreateInsecureChannelFromFd("localhost", fd.release());
    health_ = Health::NewStub(channel_);
    return absl::OkStatus();
  }

  void TryConnect(Instant deadline, Duration pause, std::function<void(absl::Status)> done) {
    const absl::Status opened = Open();
    const Instant now = loop_.clock().Now();
    if (opened.ok() || absl::IsFailedPrecondition(opened) || now + pause > deadline) {
      PostUnlessGone([done = std::move(done), opened] { done(opened); });
      return;
    }
    redial_.Set(now + pause, [this, deadline, pause, done = std::move(done)] {
      TryConnect(deadline, std::min(pause * 2, kLastRedial), done);
    });
  }

  void Check(const std::string& service, Duration timeout,
             std::function<void(absl::StatusOr<bool>)> done) {
    auto call = std::make_shared<UnaryCall<HealthCheckRequest, HealthCheckResponse>>();
    call->request.set_service(service);
    Prepare(call->context, timeout);
    const auto finished = [this, timeout, done = std::move(done)](
                              const grpc::Status& status, const HealthCheckResponse& response) {
      OnChecked(status, response.status() == HealthCheckResponse::SERVING, timeout, done);
    };
    health_->async()->Check(&call->context, &call->request, &call->response,
                            Finish(call, finished));
  }

  void OnChecked(const grpc::Status& status, bool serving, Duration timeout,
                 const std::function<void(absl::StatusOr<bool>)>& done) {
    if (status.error_code() == grpc::StatusCode::NOT_FOUND) {
      if (service_ == kPluginService) {
        service_ = kWholeServer;
        return Check(service_, timeout, done);
      }
      // It knows neither name yet: alive, and not serving.
      service_ = kPluginService;
      return done(false);
    }
    if (status.error_code() == grpc::StatusCode::UNAVAILABLE) {
      health_.reset();
      channel_.reset();
    }
    if (!status.ok()) return done(FromGrpc(status));
    done(serving);
  }

  static void Prepare(grpc::ClientContext& context, Duration timeout) {
    context.set_deadline(std::chrono::system_clock::now() +
                         std::chrono::duration_cast<std::chrono::system_clock::duration>(timeout));
  }

  // A callback for gRPC that takes the outcome to the loop, where it is dropped if this client is
  // gone.
  template <typename Request, typename Response, typename Callback>
  std::function<void(grpc::Status)> Finish(std::shared_ptr<UnaryCall<Request, Response>> call,
                                           Callback callback) {
    all_calls_.Add(&call->context);
    own_calls_->Add(&call->context);
    const std::weak_ptr<PendingCalls> alive = own_calls_;
    return [&loop = loop_, &all_calls = all_calls_, alive, call = std::move(call),
            callback = std::move(callback)](const grpc::Status& status) {
      loop.Post([&all_calls, alive, call, callback, status] {
        all_calls.Remove(&call->context);
        const auto own = alive.lock();
        if (own == nullptr) return;
        own->Remove(&call->context);
        callback(status, call->response);
      });
    };
  }

  template <typename Request, typename Response>
  LoopReader<Request, Response>* MakeReader(std::function<void(const Response&)> message,
                                            std::function<void(const grpc::Status&)> done) {
    const std::weak_ptr<PendingCalls> alive = own_calls_;
    auto context = std::make_shared<grpc::ClientContext*>(nullptr);
    auto* reader = new LoopReader<Request, Response>(  // owned by itself until its call is done
        loop_, std::move(message),
        [&all_calls = all_calls_, alive, context,
         done = std::move(done)](const grpc::Status& status) {
          all_calls.Remove(*context);
          const auto own = alive.lock();
          if (own == nullptr) return;
          own->Remove(*context);
          done(status);
        });
    *context = &reader->context();
    all_calls_.Add(*context);
    own_calls_->Add(*context);
    return reader;
  }

  EventLoop& loop_;
  PendingCalls& all_calls_;
  // Shared so that a callback can tell whether this client still lives.
  std::shared_ptr<PendingCalls> own_calls_ = std::make_shared<PendingCalls>();
  Endpoint endpoint_;
  Deadline redial_;
  std::string service_ = kPluginService;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<Health::Stub> health_;
  grpc::ClientContext* watch_ = nullptr;
};

}  // namespace

GrpcPluginClientFactory::GrpcPluginClientFactory(EventLoop& loop) : loop_(loop), heartbeat_(loop) {}

GrpcPluginClientFactory::~GrpcPluginClientFactory() {
  while (!pending_.empty()) loop_.RunOnce(std::chrono::milliseconds(10));
}

std::unique_ptr<supervisor::PluginClient> GrpcPluginClientFactory::Make(const Endpoint& endpoint) {
  return std::make_unique<GrpcPluginClient>(loop_, pending_, endpoint);
}

}  // namespace plugind::rpc
