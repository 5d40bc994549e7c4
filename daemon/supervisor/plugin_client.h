// The seam to a running plugin: what the supervisor asks of it over gRPC. daemon/rpc implements it;
// tests do it by hand. Everything is asynchronous; callbacks run on the supervisor's loop, each at
// most once unless said otherwise, and none after the client is destroyed. Destroying it cancels
// what is under way.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/base/clock.h"
#include "daemon/supervisor/handshake.h"
#include "daemon/supervisor/negotiation.h"
#include "daemon/tls/client.h"

namespace plugind::supervisor {

// Where a plugin process listens and whose process it is.
struct Endpoint {
  std::string plugin;
  std::string instance;
  int pid = 0;            // the main process; the listener must belong to it or its descendants
  std::string directory;  // where a Unix address must lie
  Handshake handshake;
  tls::ClientPtr tls = nullptr;  // under AutoMTLS; otherwise the connection is plain
};

// What Configure hands over.
struct SettingsOffer {
  std::string json;  // a table, canonical
  std::map<std::string, std::string> capabilities;
  uint64_t generation = 0;
};
// Why a plugin does not take its settings.
struct Violation {
  std::string field;  // "limits.max"; "" for the settings as a whole
  std::string reason;
  friend bool operator==(const Violation&, const Violation&) = default;
};

// Whom to ask to end.
enum class ShutdownBy : uint8_t {
  kContract,  // plugind.plugin.v1.Plugin, and if it does not know how, as below
  kGoPlugin,  // plugin.GRPCController
};

class PluginClient {
 public:
  virtual ~PluginClient() = default;

  // Dials until it succeeds or `deadline`; a plugin may print its handshake before it listens.
  // FAILED_PRECONDITION: what is at the address is not this plugin's socket, and trying again is of
  // no use.
  virtual void Connect(Instant deadline, std::function<void(absl::Status)> done) = 0;
  // The plugin contract. UNIMPLEMENTED, which is normal: it stays at the floor, or has no settings.
  virtual void Negotiate(const HostOffer& offer, Duration timeout,
                         std::function<void(absl::StatusOr<PluginAnswer>)> done) = 0;
  // Empty: the settings are in force. Otherwise none of them are.
  virtual void Configure(const SettingsOffer& settings, Duration timeout,
                         std::function<void(absl::StatusOr<std::vector<Violation>>)> done) = 0;
  virtual void Drain(Duration timeout, std::function<void(absl::Status)> done) = 0;
  // Whether it says SERVING. UNIMPLEMENTED: it has no grpc.health.v1 at all.
  virtual void CheckHealth(Duration timeout, std::function<void(absl::StatusOr<bool>)> done) = 0;
  // Calls `update` with every change, the present state first; a status is the last call.
  // UNIMPLEMENTED is normal.
  virtual void WatchHealth(std::function<void(absl::StatusOr<bool>)> update) = 0;
  virtual void StopWatching() = 0;
  // The names of the gRPC services that it serves, as its reflection says. UNIMPLEMENTED is normal.
  virtual void ListServices(Duration timeout,
                            std::function<void(absl::StatusOr<std::vector<std::string>>)> done) = 0;
  // What a go-plugin plugin prints, in chunks that are not aligned to lines. Ends silently: most
  // plugins have none.
  virtual void StreamOutput(std::function<void(bool is_stderr, std::string_view bytes)> chunk) = 0;
  // Asks it to end. UNIMPLEMENTED: it does not know how; anything else says nothing, watch the
  // process.
  virtual void Shutdown(ShutdownBy by, Duration timeout,
                        std::function<void(absl::Status)> done) = 0;
};

class PluginClientFactory {
 public:
  virtual ~PluginClientFactory() = default;
  virtual std::unique_ptr<PluginClient> Make(const Endpoint& endpoint) = 0;
};

}  // namespace plugind::supervisor
