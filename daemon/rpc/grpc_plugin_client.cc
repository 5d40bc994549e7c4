#include "daemon/rpc/grpc_plugin_client.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "daemon/rpc/contract_messages.h"
#include "daemon/rpc/dial.h"
#include "daemon/rpc/grpc_connection.h"
#include "daemon/rpc/reflection.h"
#include "grpc/health/v1/health.pb.h"
#include "plugin/go_plugin.pb.h"

namespace plugind::rpc {
namespace {

using grpc::health::v1::HealthCheckRequest;
using grpc::health::v1::HealthCheckResponse;
using supervisor::Endpoint;

constexpr char kCheck[] = "/grpc.health.v1.Health/Check";
constexpr char kWatch[] = "/grpc.health.v1.Health/Watch";
constexpr char kBroker[] = "/plugin.GRPCBroker/StartStream";
constexpr char kStdio[] = "/plugin.GRPCStdio/StreamStdio";
constexpr char kGoPluginShutdown[] = "/plugin.GRPCController/Shutdown";

constexpr Duration kFirstRedial = std::chrono::milliseconds(1);
constexpr Duration kLastRedial = std::chrono::milliseconds(50);
// How long a check whose connection has broken tries to dial: usually the plugin is dead, which the
// keeper is about to report.
constexpr Duration kRedialFor = std::chrono::milliseconds(250);
// go-plugin's name for the whole plugin, and gRPC's for the whole server. A plugin has at least one
// of them.
constexpr const char* kPluginService = "plugin";
constexpr const char* kWholeServer = "";

std::string HealthRequest(const std::string& service) {
  HealthCheckRequest request;
  request.set_service(service);
  return request.SerializeAsString();
}

absl::StatusOr<bool> IsServing(const std::string& bytes) {
  HealthCheckResponse response;
  if (!response.ParseFromString(bytes)) {
    return absl::InternalError("its answer is not a HealthCheckResponse");
  }
  return response.status() == HealthCheckResponse::SERVING;
}

class GrpcPluginClient final : public supervisor::PluginClient {
 public:
  GrpcPluginClient(EventLoop& loop, Endpoint endpoint)
      : loop_(loop), endpoint_(std::move(endpoint)), redial_(loop.timers()) {}

  void Connect(Instant deadline, std::function<void(absl::Status)> done) override {
    TryConnect(deadline, kFirstRedial, [this, done = std::move(done)](const absl::Status& status) {
      PostUnlessGone([done, status] { done(status); });
    });
  }

  void Negotiate(const supervisor::HostOffer& offer, Duration timeout,
                 std::function<void(absl::StatusOr<supervisor::PluginAnswer>)> done) override {
    Ask<supervisor::PluginAnswer>(kNegotiate, NegotiateMessage(offer), timeout,
                                  ParseNegotiateAnswer, std::move(done));
  }

  void Configure(
      const supervisor::SettingsOffer& settings, Duration timeout,
      std::function<void(absl::StatusOr<std::vector<supervisor::Violation>>)> done) override {
    absl::StatusOr<std::string> message = ConfigureMessage(settings);
    if (!message.ok()) {
      return PostUnlessGone([done = std::move(done), status = message.status()] { done(status); });
    }
    Ask<std::vector<supervisor::Violation>>(kConfigure, *message, timeout, ParseConfigureAnswer,
                                            std::move(done));
  }

  void Drain(Duration timeout, std::function<void(absl::Status)> done) override {
    Ask(kDrain, DrainMessage(timeout), timeout, std::move(done));
  }

  void CheckHealth(Duration timeout, std::function<void(absl::StatusOr<bool>)> done) override {
    if (connection_ != nullptr && connection_->usable()) {
      return Check(service_, timeout, std::move(done));
    }
    TryConnect(loop_.clock().Now() + std::min(timeout, kRedialFor), kFirstRedial,
               [this, timeout, done = std::move(done)](const absl::Status& dialled) {
                 if (dialled.ok()) return Check(service_, timeout, done);
                 PostUnlessGone([done, dialled] { done(dialled); });
               });
  }

  void WatchHealth(std::function<void(absl::StatusOr<bool>)> update) override {
    if (connection_ == nullptr) {
      PostUnlessGone([update] { update(absl::UnavailableError("not connected")); });
      return;
    }
    GrpcConnection* const connection = connection_.get();
    const auto id = connection->Call(
        kWatch, HealthRequest(service_), std::nullopt,
        [this, update](const std::string& bytes) {
          const absl::StatusOr<bool> serving = IsServing(bytes);
          if (!serving.ok()) StopWatching();  // a status is the last word
          update(serving);
        },
        [this, update](const absl::Status& status) {
          watch_.reset();
          update(status.ok() ? absl::UnavailableError("the plugin ended the stream") : status);
        });
    watch_ = {connection, id};
  }

  void StopWatching() override {
    if (!watch_) return;
    watch_->connection->Cancel(watch_->id);
    watch_.reset();
  }

  void ListServices(Duration timeout,
                    std::function<void(absl::StatusOr<std::vector<std::string>>)> done) override {
    Ask<std::vector<std::string>>(kReflection, ListServicesRequest(), timeout,
                                  ParseListServicesResponse, std::move(done));
  }

  void StreamOutput(std::function<void(bool, std::string_view)> chunk) override {
    if (connection_ == nullptr) return;
    connection_->Call(
        kStdio, "", std::nullopt,
        [chunk = std::move(chunk)](const std::string& bytes) {
          plugin::StdioData data;
          if (!data.ParseFromString(bytes)) return;  // no output that anyone could read
          chunk(data.channel() == plugin::StdioData::STDERR, data.data());
        },
        [](const absl::Status&) {});  // most plugins do not have this service
  }

  void Shutdown(supervisor::ShutdownBy by, Duration timeout,
                std::function<void(absl::Status)> done) override {
    if (connection_ == nullptr) {
      PostUnlessGone([done = std::move(done)] { done(absl::UnimplementedError("not connected")); });
      return;
    }
    if (by == supervisor::ShutdownBy::kGoPlugin) return Ask(kGoPluginShutdown, "", timeout, done);
    Ask(kShutdown, ShutdownMessage(timeout), timeout,
        [this, timeout, done = std::move(done)](const absl::Status& status) {
          if (!absl::IsUnimplemented(status)) return done(status);
          Ask(kGoPluginShutdown, "", timeout, done);
        });
  }

 private:
  struct OpenWatch {
    GrpcConnection* connection;  // lives as long as one of its calls does
    GrpcConnection::CallId id;
  };

  // One call with one answer, which `parse` reads.
  template <typename Answer>
  void Ask(const char* method, std::string_view request, Duration timeout,
           absl::StatusOr<Answer> (*parse)(const std::string&),
           std::function<void(absl::StatusOr<Answer>)> done) {
    if (connection_ == nullptr) {
      return PostUnlessGone(
          [done = std::move(done)] { done(absl::UnavailableError("not connected")); });
    }
    auto answer = std::make_shared<absl::StatusOr<Answer>>(absl::InternalError("an empty answer"));
    connection_->Call(
        method, request, timeout,
        [answer, parse](const std::string& bytes) { *answer = parse(bytes); },
        [answer, done = std::move(done)](const absl::Status& status) {
          done(status.ok() ? *answer : status);
        });
  }
  // One whose answer says nothing but that it came.
  void Ask(const char* method, std::string_view request, Duration timeout,
           std::function<void(absl::Status)> done) {
    if (connection_ == nullptr) {
      return PostUnlessGone(
          [done = std::move(done)] { done(absl::UnavailableError("not connected")); });
    }
    connection_->Call(
        method, request, timeout, [](const std::string&) {}, std::move(done));
  }

  // An answer that needs no call, given as if by one: later, and not at all if this client is gone.
  void PostUnlessGone(std::function<void()> answer) {
    loop_.Post([alive = std::weak_ptr<const bool>(alive_), answer = std::move(answer)] {
      if (!alive.expired()) answer();
    });
  }

  absl::Status Open() {
    ASSIGN_OR_RETURN(UniqueFd socket, Dial(endpoint_));
    // One that goes away may still have output to deliver.
    if (connection_ != nullptr) retired_.push_back(std::move(connection_));
    std::erase_if(retired_, [](const auto& connection) { return connection->idle(); });
    connection_ = std::make_unique<GrpcConnection>(loop_, std::move(socket), endpoint_.tls);
    HoldBroker();
    return absl::OkStatus();
  }

  // A go-plugin plugin that serves something under an id of its own waits for whoever takes the
  // announcement. plugind dials none of them and announces none: what comes is dropped, but for a
  // knock, which the plugin would otherwise wait 5 s for.
  void HoldBroker() {
    GrpcConnection* const connection = connection_.get();
    auto id = std::make_shared<GrpcConnection::CallId>(0);
    *id = connection->OpenStream(
        kBroker,
        [connection, id](const std::string& bytes) {
          plugin::ConnInfo info;
          if (!info.ParseFromString(bytes) || !info.knock().knock() || info.knock().ack()) return;
          plugin::ConnInfo answer;
          answer.set_service_id(info.service_id());
          answer.mutable_knock()->set_knock(true);
          answer.mutable_knock()->set_ack(true);
          answer.mutable_knock()->set_error("plugind serves nothing by the broker");
          connection->Send(*id, answer.SerializeAsString());
        },
        [](const absl::Status&) {});  // most plugins have no broker
  }

  // `done` may run at once.
  void TryConnect(Instant deadline, Duration pause, std::function<void(absl::Status)> done) {
    const absl::Status opened = Open();
    if (opened.ok() && endpoint_.tls != nullptr) return Secure(deadline, std::move(done));
    const Instant now = loop_.clock().Now();
    if (opened.ok() || absl::IsFailedPrecondition(opened) || now + pause > deadline) {
      return done(opened);
    }
    redial_.Set(now + pause, [this, deadline, pause, done = std::move(done)] {
      TryConnect(deadline, std::min(pause * 2, kLastRedial), done);
    });
  }

  void Secure(Instant deadline, std::function<void(absl::Status)> done) {
    redial_.Set(deadline, [this, done] {
      connection_->Secure(nullptr);  // it goes on trying, and nobody waits for it
      done(absl::DeadlineExceededError("the plugin did not finish the TLS handshake in time"));
    });
    connection_->Secure([this, done = std::move(done)](const absl::Status& status) {
      redial_.Clear();
      done(status);
    });
  }

  void Check(const std::string& service, Duration timeout,
             std::function<void(absl::StatusOr<bool>)> done) {
    // What the answer said; a status that is OK without an answer is none.
    auto answer = std::make_shared<absl::StatusOr<bool>>(absl::InternalError("an empty answer"));
    connection_->Call(
        kCheck, HealthRequest(service), timeout,
        [answer](const std::string& bytes) { *answer = IsServing(bytes); },
        [this, answer, timeout, done = std::move(done)](const absl::Status& status) {
          OnChecked(status, *answer, timeout, done);
        });
  }

  void OnChecked(const absl::Status& status, const absl::StatusOr<bool>& answer, Duration timeout,
                 const std::function<void(absl::StatusOr<bool>)>& done) {
    if (status.ok()) return done(answer);
    if (!absl::IsNotFound(status)) return done(status);
    if (service_ == kPluginService) {
      service_ = kWholeServer;
      return Check(service_, timeout, done);
    }
    // It knows neither name yet: alive, and not serving.
    service_ = kPluginService;
    done(false);
  }

  EventLoop& loop_;
  Endpoint endpoint_;
  Deadline redial_;
  std::string service_ = kPluginService;
  std::optional<OpenWatch> watch_;
  std::unique_ptr<GrpcConnection> connection_;
  std::vector<std::unique_ptr<GrpcConnection>> retired_;  // each has calls that have not ended
  // Gone with this object: what is posted then finds nobody.
  std::shared_ptr<const bool> alive_ = std::make_shared<const bool>(true);
};

}  // namespace

GrpcPluginClientFactory::GrpcPluginClientFactory(EventLoop& loop) : loop_(loop), heartbeat_(loop) {}

std::unique_ptr<supervisor::PluginClient> GrpcPluginClientFactory::Make(const Endpoint& endpoint) {
  return std::make_unique<GrpcPluginClient>(loop_, endpoint);
}

}  // namespace plugind::rpc
