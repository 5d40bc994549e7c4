// Start here: everything that a plugin's author needs to serve gRPC services under plugind, or
// under any host built on hashicorp/go-plugin. The SDK adds health (grpc.health.v1), reflection and
// the services that hosts expect; do not compile health.proto into the plugin a second time.
//
// Example:
//   #include <plugind/plugin.h>
//
//   #include "greeter.grpc.pb.h"
//
//   class Greeter final : public greeter::v1::Greeter::Service {};  // and its methods
//
//   int main(int argc, char** argv) {
//     Greeter impl;
//     std::string greeting;  // guard it in a real plugin: calls run meanwhile
//     return plugind::Plugin("greeter", "1.0.0")
//         .service(&impl)
//         .provides("greeter.v1", "1.2")
//         .on_configure([&](const plugind::Settings& settings) {
//           greeting = settings.get("greeting", "Hello");
//           if (greeting.empty()) throw plugind::BadSetting("greeting", "must not be empty");
//         })
//         .serve(argc, argv);
//   }
#pragma once

#include <plugind/export.h>
#include <plugind/peers.h>
#include <plugind/settings.h>

#include <chrono>
#include <functional>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace grpc {
class Channel;
class ServerBuilder;
class Service;
}  // namespace grpc

namespace plugind {

// One plugin process. The setters before serve() return *this and are called on one thread.
//
// Thread safety: what follows "While it serves" may be called on any thread, before and during
// serve(), and in every hook; nothing else may.
//
// Hooks: on_start and on_shutdown run on the thread of serve(). on_configure and on_drain run on
// one thread of the SDK's own, one at a time, beside running calls: guard what they share with
// your services. A slow hook delays nothing but the host's answer; health goes on.
//
// Lifetime: the services outlive serve(). Not copied, not moved; serve() is called once.
class PLUGIND_EXPORT Plugin {
 public:
  // `name` and `version` are what `--plugind-info` and logs report; the host chooses the plugin by
  // its own config.
  Plugin(std::string name, std::string version);
  ~Plugin();
  Plugin(const Plugin&) = delete;
  Plugin& operator=(const Plugin&) = delete;

  // Serves `service`, which is not owned. Call it for each service; synchronous and callback
  // services may be mixed.
  Plugin& service(grpc::Service* service);

  // The magic cookie by which a host shows that it knows this plugin. Default: PLUGIND_PLUGIN=1. A
  // host built on go-plugin has its own: take it from that host's HandshakeConfig.
  Plugin& cookie(std::string key, std::string value);

  // An application protocol version that this plugin speaks. Call it for each; without a call it
  // is 1.
  Plugin& protocol_version(int version);

  // A capability that this plugin has, for the host and the application to use where both have it;
  // "1.4" stands for 1.0 to 1.4. Call it for each, and for each major version of one. What the SDK
  // can do it says by itself: config.reload (with on_configure), drain (with on_drain), peer.calls,
  // log.structured, trace.
  Plugin& provides(std::string capability, std::string version = "1.0");

  // A capability that the host must have, or the plugin does not start. ("requires" is a keyword.)
  Plugin& require(std::string capability, std::string version = "1.0");

  // A JSON Schema (draft 7) of the settings. The host then refuses settings that do not fit, with
  // file and line, before the plugin is touched.
  Plugin& config_schema(std::string json);

  // Gets the settings, whole: once before the plugin is READY, and whenever they change, while
  // calls run. `hook` takes a const Settings& and returns nothing, or Violations: if there are any,
  // or if it throws, the settings are refused, and those before stay in force. So check first and
  // change the plugin then. Hosts that know nothing of settings never call it.
  template <typename Hook>
  Plugin& on_configure(Hook hook) {
    if constexpr (std::is_void_v<std::invoke_result_t<Hook&, const Settings&>>) {
      return OnConfigure([hook = std::move(hook)](const Settings& settings) mutable {
        hook(settings);
        return Violations();
      });
    } else {
      return OnConfigure(std::move(hook));
    }
  }

  // Runs when no new calls come any more and before the plugin is asked to end: finish here what is
  // done beside calls, such as flushing queues. The host waits for it, for as long as its
  // configuration says (stop.drain).
  Plugin& on_drain(std::function<void()> hook);

  // Runs when a host has started the plugin and before it is told that the plugin is up: the place
  // to open files and connect to databases, which neither `--plugind-info` nor a start by hand
  // should do. What it throws ends the plugin with exit code 1, and its message goes to the host's
  // log.
  Plugin& on_start(std::function<void()> hook);

  // Runs when the plugin is asked to end, after health has turned NOT_SERVING and before running
  // calls are waited for. It is called once, on the thread of serve().
  Plugin& on_shutdown(std::function<void()> hook);

  // How long running calls may take to end before they are cancelled. Default: 5 s.
  Plugin& shutdown_timeout(std::chrono::milliseconds timeout);

  // A last word on the gRPC server, e.g. SetMaxReceiveMessageSize. It must not add ports.
  Plugin& configure(std::function<void(grpc::ServerBuilder&)> hook);

  // ---- While it serves ----

  // The version of a capability that was agreed with the host; nothing if it was not, or is not
  // yet: it is known from the first on_configure on. A host that knows no capabilities agrees on
  // none.
  std::optional<std::string> agreed(const std::string& capability) const;

  // The settings in force; empty before the first were taken.
  Settings settings() const;

  // A channel to another plugin, across its restarts; the same for every call with that name. Who
  // may call whom is in the plugins' configuration (access.calls, access.callers). Throws
  // std::invalid_argument if `name` is no plugin's name, std::logic_error if plugind is not the
  // host; everything else is the outcome of a call, see plugind/client.h.
  std::shared_ptr<grpc::Channel> peer(const std::string& name);

  // Who this plugin is to its host, and which peers it may call, in order of name. Both ask the
  // host and wait for its answer, 2 s at most. They throw HostError where there is none (an
  // exception that leaves a service's method ends that call with UNKNOWN), and std::logic_error if
  // plugind is not the host. See plugind/peers.h.
  Identity identity() const;
  std::vector<Peer> peers() const;

  // A line for operators beside the plugin's state, e.g. "replaying journal, 40 %"; "" takes it
  // away. At most 1,024 bytes, the rest is cut. Returns at once; the newest text wins. Other hosts
  // than plugind have nowhere to show it.
  void set_status(std::string text);

  // Says whether calls may be sent here. Default: true. While false, plugind routes nothing here
  // and does not kill.
  void set_serving(bool serving);

  // Ends serve() in the same orderly way as SIGTERM does. Returns at once.
  void stop();

  // Serves until the host ends the plugin, or dies. Returns the exit code for main():
  //   0  ended as asked (SIGTERM, the host's Shutdown, stop(), or the host is gone)
  //   1  could not serve, or was not started by a host; stderr says why
  // Arguments that are not the SDK's are ignored, so that a plugin may have its own.
  // `--plugind-info` prints what the plugin is as JSON (name, version, services, protocol versions,
  // capabilities, the settings' schema) and returns 0.
  //
  // While it runs, stdout is line-buffered and what is printed there becomes the host's log;
  // SIGTERM, SIGINT and SIGPIPE, where still at their defaults, are handled by the SDK.
  int serve(int argc, char** argv);

  // For plugind/testing/fake_host.h, which serves the plugin within a test.
  struct PLUGIND_LOCAL Impl;
  PLUGIND_LOCAL Impl& impl() { return *impl_; }

 private:
  Plugin& OnConfigure(std::function<Violations(const Settings&)> hook);

  std::unique_ptr<Impl> impl_;
};

enum class LogLevel {
  kTrace,
  kDebug,
  kInfo,
  kWarn,
  kError,
};

// Writes one line to stderr in the JSON form that plugind and go-plugin hosts read as level,
// message and fields. Thread-safe; a line is written whole. It never throws and never fails: where
// stderr is gone, so is the line.
PLUGIND_EXPORT
void log(LogLevel level, std::string_view message,
         std::initializer_list<std::pair<std::string_view, std::string_view>> fields = {}) noexcept;

// The same, for fields that are known only when it runs.
using Fields = std::vector<std::pair<std::string, std::string>>;
PLUGIND_EXPORT void log(LogLevel level, std::string_view message, const Fields& fields) noexcept;

}  // namespace plugind
