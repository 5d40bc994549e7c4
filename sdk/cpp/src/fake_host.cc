#include "plugind/testing/fake_host.h"

#include <grpcpp/create_channel_posix.h>
#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/server_posix.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <functional>
#include <iterator>
#include <mutex>
#include <stdexcept>
#include <utility>

#include "plugind/version.h"
#include "sdk/cpp/src/agreement.h"
#include "sdk/cpp/src/capabilities.h"
#include "sdk/cpp/src/drain.h"
#include "sdk/cpp/src/failure.h"
#include "sdk/cpp/src/plugin_impl.h"
#include "sdk/cpp/src/struct_json.h"

namespace plugind::testing {
namespace {

using grpc::health::v1::HealthCheckRequest;
using grpc::health::v1::HealthCheckResponse;

// As long as plugind waits for a start by default, and a test for anything.
constexpr std::chrono::seconds kDeadline{10};
// What it says of itself.
constexpr const char* kHost = "plugind";
constexpr const char* kInstance = "fake";

void SetDeadline(grpc::ClientContext& context) {
  context.set_deadline(std::chrono::system_clock::now() + kDeadline);
}

void ThrowUnlessOk(const grpc::Status& status, const std::string& operation) {
  if (!status.ok()) throw std::runtime_error(operation + ": " + status.error_message());
}

// A channel to a server in this process, which `accept` gives its end of a connection.
std::shared_ptr<grpc::Channel> Connect(const std::function<void(int fd)>& accept) {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) != 0) {
    throw sdk::ErrnoFailure(errno, "socketpair");
  }
  accept(ends[0]);
  return grpc::CreateInsecureChannelFromFd("localhost", ends[1]);
}

// What plugind answers calls to a peer that the plugin may not call.
class Denial final : public grpc::CallbackGenericService {
 public:
  explicit Denial(std::string peer) : peer_(std::move(peer)) {}

  grpc::ServerGenericBidiReactor* CreateReactor(
      grpc::GenericCallbackServerContext* /*context*/) override {
    struct Reactor final : grpc::ServerGenericBidiReactor {
      void OnDone() override { delete this; }
    };
    auto* reactor = new Reactor;  // its own owner
    reactor->Finish(
        {grpc::StatusCode::PERMISSION_DENIED, "the fake host has no such service of a peer " +
                                                  peer_ + "; FakeHost::peer() gives it one"});
    return reactor;
  }

 private:
  const std::string peer_;
};

struct PeerServer {
  explicit PeerServer(const std::string& name) : denial(name) {}
  ~PeerServer() {
    // Not for ever, as grpc::Server by itself: a stream of the plugin's may still be open.
    if (server != nullptr) server->Shutdown(std::chrono::system_clock::now());
  }
  PeerServer(const PeerServer&) = delete;
  PeerServer& operator=(const PeerServer&) = delete;

  void Start() {
    if (server != nullptr) return;
    grpc::ServerBuilder builder;
    for (grpc::Service* service : services) builder.RegisterService(service);
    builder.RegisterCallbackGenericService(&denial);
    sdk::NoteServices(builder, names);
    server = builder.BuildAndStart();
  }

  std::shared_ptr<grpc::Channel> Channel() {
    Start();
    // Not gRPC's in-process channel, which must not be used any more when the server is gone.
    if (channel == nullptr) {
      channel = Connect([this](int fd) { grpc::AddInsecureChannelFromFd(server.get(), fd); });
    }
    return channel;
  }

  Denial denial;
  std::vector<grpc::Service*> services;
  std::vector<std::string> names;  // of these and of gRPC's own
  std::unique_ptr<grpc::Server> server;
  std::shared_ptr<grpc::Channel> channel;
};

}  // namespace

struct FakeHost::Inside {
  explicit Inside(Plugin::Impl& served) : plugin(served) {}
  ~Inside() {
    // The plugin outlives this host.
    const auto gone = [] { return std::logic_error("the fake host is gone"); };
    plugin.host.Use({
        [](const std::string& /*text*/) {},
        [gone](const std::string& /*name*/) -> std::shared_ptr<grpc::Channel> { throw gone(); },
        [gone]() -> Identity { throw gone(); },
        [gone]() -> std::vector<Peer> { throw gone(); },
    });
  }
  Inside(const Inside&) = delete;
  Inside& operator=(const Inside&) = delete;

  uint32_t ProtocolVersion() const {
    const std::vector<int> own = plugin.ProtocolVersions();
    return static_cast<uint32_t>(*std::max_element(own.begin(), own.end()));
  }

  Identity Self() const {
    Identity self{plugin.name, kInstance, ProtocolVersion(), {}, kHost, PLUGIND_VERSION};
    std::lock_guard lock(mutex);
    if (negotiated) self.capabilities = negotiated->agreed;
    return self;
  }

  std::vector<Peer> Peers() {
    std::vector<Peer> all;
    std::lock_guard lock(mutex);
    for (auto& [name, peer] : peers) {
      if (peer.services.empty()) continue;  // asked for in vain
      peer.Start();
      all.push_back({name, "READY", "", {}, {"*"}});
      std::remove_copy_if(peer.names.begin(), peer.names.end(),
                          std::back_inserter(all.back().services), sdk::IsInfrastructure);
    }
    return all;
  }

  Plugin::Impl& plugin;
  sdk::Capabilities offered;
  std::optional<sdk::Server> server;  // until shutdown()
  std::shared_ptr<grpc::Channel> channel;
  uint64_t generation = 0;

  mutable std::mutex mutex;  // the plugin's threads come here, too
  std::optional<Negotiated> negotiated;
  std::map<std::string, PeerServer> peers;
  std::string status_text;
};

FakeHost::FakeHost(Plugin& plugin) : inside_(std::make_unique<Inside>(plugin.impl())) {
  Plugin::Impl& served = inside_->plugin;
  for (const char* built_in : {"config.reload", "drain", "log.structured", "peer.calls", "trace"}) {
    offer(built_in);
  }
  served.host.Use({
      [inside = inside_.get()](const std::string& text) {
        std::lock_guard lock(inside->mutex);
        inside->status_text = text;
      },
      [inside = inside_.get()](const std::string& name) {
        std::lock_guard lock(inside->mutex);
        return inside->peers.try_emplace(name, name).first->second.Channel();
      },
      [inside = inside_.get()] { return inside->Self(); },
      [inside = inside_.get()] { return inside->Peers(); },
  });
  served.Describe();
  if (served.on_start) served.on_start();
  inside_->server.emplace(served.Build({}, grpc::InsecureServerCredentials()));
  inside_->channel = Connect([this](int fd) { inside_->server->Accept(fd); });
}

FakeHost::~FakeHost() { shutdown(); }

FakeHost& FakeHost::offer(const std::string& capability, const std::string& version) {
  inside_->offered.Add(capability, version, false);
  return *this;
}

FakeHost& FakeHost::peer(const std::string& name, grpc::Service& service) {
  std::lock_guard lock(inside_->mutex);
  inside_->peers.try_emplace(name, name).first->second.services.push_back(&service);
  return *this;
}

FakeHost::Negotiated FakeHost::negotiate() {
  plugin::v1::NegotiateRequest request;
  request.set_host(kHost);
  request.set_host_version(PLUGIND_VERSION);
  request.set_plugin(inside_->plugin.name);
  request.set_instance(kInstance);
  request.set_protocol_version(inside_->ProtocolVersion());
  for (const int version : inside_->plugin.ProtocolVersions()) {
    request.add_offered_protocol_versions(static_cast<uint32_t>(version));
  }
  for (const sdk::Capability& each : inside_->offered.All()) {
    auto* capability = request.add_capabilities();
    capability->set_name(each.name);
    for (const std::string& version : each.versions) capability->add_versions(version);
  }
  grpc::ClientContext context;
  SetDeadline(context);
  plugin::v1::NegotiateResponse response;
  const auto stub = plugin::v1::Plugin::NewStub(channel());
  ThrowUnlessOk(stub->Negotiate(&context, request, &response), "Negotiate");

  Negotiated result;
  result.name = response.name();
  result.version = response.version();
  result.services.assign(response.services().begin(), response.services().end());
  result.config_schema = response.config_schema();
  result.agreed = sdk::Agree(inside_->offered.All(), response.capabilities());
  for (const auto& each : response.capabilities()) {
    if (each.required() && result.agreed.count(each.name()) == 0) {
      throw std::runtime_error("the plugin requires " + each.name() +
                               ", which this host does not offer; FakeHost::offer() does");
    }
  }
  std::lock_guard lock(inside_->mutex);
  inside_->negotiated = result;
  return result;
}

Violations FakeHost::configure(const std::string& json) {
  if (!inside_->negotiated) negotiate();
  plugin::v1::ConfigureRequest request;
  *request.mutable_settings() = sdk::StructFromJson(json);
  request.mutable_capabilities()->insert(inside_->negotiated->agreed.begin(),
                                         inside_->negotiated->agreed.end());
  request.set_generation(++inside_->generation);
  grpc::ClientContext context;
  SetDeadline(context);
  plugin::v1::ConfigureResponse response;
  const auto stub = plugin::v1::Plugin::NewStub(channel());
  ThrowUnlessOk(stub->Configure(&context, request, &response), "Configure");
  Violations violations;
  for (const auto& each : response.violations())
    violations.push_back({each.field(), each.reason()});
  return violations;
}

bool FakeHost::serving() {
  grpc::ClientContext context;
  SetDeadline(context);
  HealthCheckRequest request;
  request.set_service("plugin");
  HealthCheckResponse response;
  const auto stub = grpc::health::v1::Health::NewStub(channel());
  return stub->Check(&context, request, &response).ok() &&
         response.status() == HealthCheckResponse::SERVING;
}

std::shared_ptr<grpc::Channel> FakeHost::channel() { return inside_->channel; }

std::string FakeHost::status_text() const {
  std::lock_guard lock(inside_->mutex);
  return inside_->status_text;
}

grpc::Status FakeHost::drain() {
  grpc::ClientContext context;
  SetDeadline(context);
  plugin::v1::DrainResponse response;
  const auto stub = plugin::v1::Plugin::NewStub(channel());
  return stub->Drain(&context, plugin::v1::DrainRequest(), &response);
}

bool FakeHost::stop_requested() const { return inside_->plugin.lifeline.StopRequested(); }

void FakeHost::shutdown() {
  if (!inside_->server) return;
  inside_->plugin.End();
  sdk::Drain(*inside_->server, inside_->plugin.shutdown_timeout, sdk::Late::kAbort);
  inside_->server.reset();
}

}  // namespace plugind::testing
