// Start here: everything that a plugin's author needs to serve gRPC services under plugind, or
// under any host built on hashicorp/go-plugin.
//
// Example:
//   #include <plugind/plugin.h>
//
//   int main(int argc, char** argv) {
//     Greeter impl;  // a greeter::v1::Greeter::Service
//     return plugind::Plugin("greeter", "1.0.0").service(&impl).serve(argc, argv);
//   }
//
// The SDK adds health (grpc.health.v1), reflection and the services that hosts expect; do not
// compile health.proto into the plugin a second time.
#pragma once

#include <chrono>
#include <functional>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace grpc {
class ServerBuilder;
class Service;
}  // namespace grpc

namespace plugind {

// One plugin process. The setters before serve() return *this and are called on one thread.
//
// Thread safety: set_serving() and stop() may be called on any thread, before and during serve();
// nothing else may. Lifetime: the services outlive serve(). Not copied, not moved; serve() is
// called once.
class Plugin {
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

  // Says whether calls may be sent here. Default: true. While false, plugind routes nothing here
  // and does not kill.
  void set_serving(bool serving);

  // Ends serve() in the same orderly way as SIGTERM does. Returns at once.
  void stop();

  // Serves until the host ends the plugin, or dies. Returns the exit code for main():
  //   0  ended as asked (SIGTERM, the host's Shutdown, stop(), or the host is gone)
  //   1  could not serve, or was not started by a host; stderr says why
  // Arguments that are not the SDK's are ignored, so that a plugin may have its own.
  // `--plugind-info` prints name, version, services and protocol versions as JSON and returns 0.
  //
  // While it runs, stdout is line-buffered and what is printed there becomes the host's log;
  // SIGTERM, SIGINT and SIGPIPE, where still at their defaults, are handled by the SDK.
  int serve(int argc, char** argv);

 private:
  struct Impl;
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
void log(LogLevel level, std::string_view message,
         std::initializer_list<std::pair<std::string_view, std::string_view>> fields = {}) noexcept;

}  // namespace plugind
