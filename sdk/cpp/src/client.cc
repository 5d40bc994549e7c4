#include "plugind/client.h"

#include <grpcpp/grpcpp.h>
#include <grpcpp/support/client_interceptor.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>
#include <utility>
#include <vector>

#include "sdk/cpp/src/door.h"

namespace plugind {
namespace {

using grpc::experimental::ClientInterceptorFactoryInterface;
using grpc::experimental::ClientRpcInfo;
using grpc::experimental::InterceptionHookPoints;
using grpc::experimental::Interceptor;
using grpc::experimental::InterceptorBatchMethods;

// Says on each call which peer it is for. An interceptor, because it is the one place that calls of
// every kind pass, those on stubs made by others included.
class PluginInterceptor final : public Interceptor {
 public:
  explicit PluginInterceptor(const std::string& plugin) : plugin_(plugin) {}

  void Intercept(InterceptorBatchMethods* methods) override {
    if (methods->QueryInterceptionHookPoint(InterceptionHookPoints::PRE_SEND_INITIAL_METADATA)) {
      auto* metadata = methods->GetSendInitialMetadata();
      // Not a second one: a context's own gives way to the channel's.
      metadata->erase("plugind-plugin");
      metadata->emplace("plugind-plugin", plugin_);
    }
    methods->Proceed();
  }

 private:
  const std::string& plugin_;  // the factory's: the call keeps the channel, and that the factory
};

class PluginInterceptorFactory final : public ClientInterceptorFactoryInterface {
 public:
  explicit PluginInterceptorFactory(std::string plugin) : plugin_(std::move(plugin)) {}

  Interceptor* CreateClientInterceptor(ClientRpcInfo* /*call*/) override {
    return new PluginInterceptor(plugin_);  // gRPC owns it
  }

 private:
  const std::string plugin_;
};

// Has gRPC look at what has arrived before a call begins. It reads a connection only while some
// thread waits for something, so a program whose calls are synchronous would not see between two of
// them that plugind has closed it, and would lose the next one to a dead connection.
class FreshLook final : public ClientInterceptorFactoryInterface {
 public:
  ~FreshLook() override {
    queue_.Shutdown();
    for (Event event; queue_.Next(&event.tag, &event.ok);) {
    }
  }

  Interceptor* CreateClientInterceptor(ClientRpcInfo* /*call*/) override {
    const auto now = std::chrono::steady_clock::now().time_since_epoch();
    if (now - std::chrono::nanoseconds(last_.exchange(now.count())) < kBusy) return nullptr;
    for (int i = 0; i < kEvents; ++i) {
      Event event;
      queue_.AsyncNext(&event.tag, &event.ok, gpr_inf_past(GPR_CLOCK_MONOTONIC));
    }
    return nullptr;  // the call itself needs none
  }

 private:
  struct Event {
    void* tag = nullptr;
    bool ok = false;
  };
  // Calls in closer succession than this see to it themselves.
  static constexpr std::chrono::milliseconds kBusy{1};
  // gRPC takes in one at a look; other channels of the process may have some, too. A look that
  // finds nothing is a system call.
  static constexpr int kEvents = 8;

  grpc::CompletionQueue queue_;  // never anything in it: to wait for it is to look
  std::atomic<int64_t> last_{0};
};

bool Has(const grpc::ChannelArguments& arguments, const char* key) {
  const grpc_channel_args all = arguments.c_channel_args();
  return std::any_of(all.args, all.args + all.num_args,
                     [key](const grpc_arg& each) { return std::strcmp(each.key, key) == 0; });
}

// Sets what is not set yet: of two values for one key, gRPC takes the first.
void AddDefaults(grpc::ChannelArguments& arguments) {
  // Newer cores send the escaped path as the authority, which strict servers refuse.
  if (!Has(arguments, GRPC_ARG_DEFAULT_AUTHORITY)) {
    arguments.SetString(GRPC_ARG_DEFAULT_AUTHORITY, "localhost");
  }
  constexpr std::pair<const char*, int> kNumbers[] = {
      // gRPC's own would wait up to 20 s and more before the next try.
      {GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 50},
      {GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 1000},
      {GRPC_ARG_ENABLE_HTTP_PROXY, 0},
  };
  for (const auto& [key, value] : kNumbers) {
    if (!Has(arguments, key)) arguments.SetInt(key, value);
  }
}

}  // namespace

Client::Client() {
  sdk::Door door = sdk::FindDoor(geteuid());
  socket_ = std::move(door.socket);
  is_host_ = door.is_host;
}

Client::Client(const std::string& socket) : socket_(sdk::FrontDoor(socket).socket) {}

Client& Client::configure(std::function<void(grpc::ChannelArguments&)> hook) {
  configure_ = std::move(hook);
  return *this;
}

std::shared_ptr<grpc::Channel> Client::channel(const std::string& plugin) const {
  return Connect(sdk::SocketFor({socket_, is_host_}, plugin), is_host_ ? plugin : "");
}

std::shared_ptr<grpc::Channel> Client::control() const { return Connect(socket_, ""); }

// `plugin` is what calls say in their metadata; "": nothing.
std::shared_ptr<grpc::Channel> Client::Connect(const std::string& socket,
                                               const std::string& plugin) const {
  grpc::ChannelArguments arguments;
  if (configure_) configure_(arguments);
  AddDefaults(arguments);
  std::vector<std::unique_ptr<ClientInterceptorFactoryInterface>> interceptors;
  interceptors.push_back(std::make_unique<FreshLook>());
  if (!plugin.empty()) interceptors.push_back(std::make_unique<PluginInterceptorFactory>(plugin));
  return grpc::experimental::CreateCustomChannelWithInterceptors(
      sdk::TargetOf(socket), grpc::InsecureChannelCredentials(), arguments,
      std::move(interceptors));
}

Executed executed(const grpc::ClientContext& context) {
  const auto& trailers = context.GetServerTrailingMetadata();
  const auto found = trailers.find("plugind-executed");
  if (found == trailers.end()) return Executed::kUnknown;
  if (found->second == "no") return Executed::kNo;
  if (found->second == "maybe") return Executed::kMaybe;
  return Executed::kUnknown;
}

}  // namespace plugind
