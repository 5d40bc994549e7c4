// What plugind and a plugin settle before the plugin is used: which capabilities both have, in
// which version, and what the plugin says of itself. Pure values and functions; the messages that
// carry them are in proto/plugind/plugin/v1, where the rule of agreement is written down.
#pragma once

#include <absl/status/statusor.h>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "daemon/config/plugin_config.h"
#include "daemon/supervisor/handshake.h"

namespace plugind::supervisor {

struct Capability {
  std::string name;
  // "MAJOR.MINOR", the highest minor of each major; empty: any (in the host's requirements only).
  std::vector<std::string> versions;
  bool required = false;
  friend bool operator==(const Capability&, const Capability&) = default;
};

// The host's own, each in version 1.0.
inline constexpr char kConfigReload[] = "config.reload";    // Configure may come again
inline constexpr char kDrain[] = "drain";                   // Drain is called
inline constexpr char kPeerCalls[] = "peer.calls";          // calls by host.sock to peers
inline constexpr char kLogStructured[] = "log.structured";  // stderr's lines are read for structure
inline constexpr char kTrace[] = "trace";  // calls without a traceparent are given one

// What Negotiate says to the plugin.
struct HostOffer {
  std::string plugin;
  std::string instance;
  uint32_t protocol_version = 0;
  std::vector<uint32_t> offered_protocol_versions;
  std::vector<Capability> capabilities;
};
HostOffer OfferTo(const config::PluginConfig& config, const std::string& instance,
                  const Handshake& handshake);

// What it answers: from an untrusted peer, and unbounded but for the size of a message.
struct PluginAnswer {
  std::string name;
  std::string version;
  std::vector<std::string> services;
  std::vector<Capability> capabilities;
  std::string config_schema;
  std::string sdk_language;
  std::string sdk_version;
};

// What is kept of it: checked, bounded, and free of what could spoil a terminal.
struct Agreement {
  std::string version;                // of the plugin
  std::string sdk;                    // "c++ 0.1.0"
  std::vector<std::string> services;  // sorted; empty: ask reflection
  std::map<std::string, std::string> capabilities;
  friend bool operator==(const Agreement&, const Agreement&) = default;

  bool Has(const std::string& capability) const { return capabilities.contains(capability); }
};

// Limits of an answer, also said in plugin.proto.
inline constexpr size_t kMaxCapabilities = 256;
inline constexpr size_t kMaxVersionsOfCapability = 16;
inline constexpr size_t kMaxServices = 1024;
inline constexpr size_t kMaxNegotiatedBytes = size_t{32} * 1024;
inline constexpr size_t kMaxConfigSchema = size_t{256} * 1024;

// INVALID_ARGUMENT: the answer breaks the contract; FAILED_PRECONDITION (CAPABILITY_MISSING): one
// side requires what the other does not have, and the message has both lists.
absl::StatusOr<Agreement> Agree(const HostOffer& offer, const PluginAnswer& answer);
// What a plugin at the contract's floor comes to: OK, or FAILED_PRECONDITION if something is
// required of it.
absl::Status AgreeOnNothing(const HostOffer& offer);

}  // namespace plugind::supervisor
