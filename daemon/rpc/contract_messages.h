// The plugin contract's messages (proto/plugind/plugin/v1) to and from the supervisor's plain
// values. Pure; what is parsed comes from an untrusted peer, and is bounded by the size of a
// message alone: supervisor/negotiation.h checks the rest.
#pragma once

#include <absl/status/statusor.h>

#include <string>
#include <vector>

#include "daemon/base/clock.h"
#include "daemon/supervisor/negotiation.h"
#include "daemon/supervisor/plugin_client.h"

namespace plugind::rpc {

inline constexpr char kNegotiate[] = "/plugind.plugin.v1.Plugin/Negotiate";
inline constexpr char kConfigure[] = "/plugind.plugin.v1.Plugin/Configure";
inline constexpr char kDrain[] = "/plugind.plugin.v1.Plugin/Drain";
inline constexpr char kShutdown[] = "/plugind.plugin.v1.Plugin/Shutdown";

std::string NegotiateMessage(const supervisor::HostOffer& offer);
// INTERNAL: the settings are not a table in JSON, which those that were loaded are.
absl::StatusOr<std::string> ConfigureMessage(const supervisor::SettingsOffer& settings);
std::string DrainMessage(Duration timeout);
std::string ShutdownMessage(Duration timeout);

// INTERNAL: it is no such message.
absl::StatusOr<supervisor::PluginAnswer> ParseNegotiateAnswer(const std::string& bytes);
absl::StatusOr<std::vector<supervisor::Violation>> ParseConfigureAnswer(const std::string& bytes);

}  // namespace plugind::rpc
