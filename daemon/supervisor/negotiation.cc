#include "daemon/supervisor/negotiation.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <compare>
#include <optional>
#include <set>

#include "daemon/base/status.h"
#include "daemon/config/syntax.h"
#include "daemon/observe/text.h"
#include "daemon/supervisor/reason.h"

namespace plugind::supervisor {
namespace {

constexpr size_t kMaxName = 128;  // of the plugin's name and version, and of its SDK's
constexpr size_t kMaxService = 256;
constexpr size_t kMaxListed = 16;  // capabilities in a message

struct Version {
  uint32_t major = 0;
  uint32_t minor = 0;
  auto operator<=>(const Version&) const = default;
};

std::optional<Version> ParseVersion(const std::string& text) {
  if (!config::CheckVersion(text).empty()) return std::nullopt;
  Version version;
  const char* const end = text.data() + text.size();
  const auto [dot, error] = std::from_chars(text.data(), end, version.major);
  if (error != std::errc() || dot == end) return std::nullopt;  // beyond 32 bits
  const auto [last, minor_error] = std::from_chars(dot + 1, end, version.minor);
  if (minor_error != std::errc() || last != end) return std::nullopt;
  return version;
}

std::string ToString(const Version& version) {
  return fmt::format("{}.{}", version.major, version.minor);
}

// By major, with the highest minor of each.
using Versions = std::map<uint32_t, uint32_t>;

Versions Read(const Capability& capability) {
  Versions versions;
  for (const std::string& text : capability.versions) {
    const auto version = ParseVersion(text);
    if (!version) continue;  // Agree has refused the answer; the configuration has been checked
    uint32_t& minor = versions[version->major];
    minor = std::max(minor, version->minor);
  }
  return versions;
}

std::optional<Version> Common(const Capability& host, const Capability& plugin) {
  const Versions theirs = Read(plugin);
  if (host.versions.empty() && !theirs.empty()) {
    return Version{theirs.rbegin()->first, theirs.rbegin()->second};
  }
  const Versions ours = Read(host);
  for (auto one = theirs.rbegin(); one != theirs.rend(); ++one) {
    const auto same = ours.find(one->first);
    if (same != ours.end()) return Version{one->first, std::min(one->second, same->second)};
  }
  return std::nullopt;
}

std::string Describe(const std::vector<Capability>& capabilities) {
  std::vector<std::string> all;
  for (const Capability& one : capabilities) {
    all.push_back(fmt::format(
        "{} {}{}", one.name,
        one.versions.empty() ? "(any version)" : fmt::format("{}", fmt::join(one.versions, "/")),
        one.required ? " (required)" : ""));
  }
  if (all.empty()) return "none";
  std::ranges::sort(all);
  const size_t beyond = all.size() > kMaxListed ? all.size() - kMaxListed : 0;
  all.resize(all.size() - beyond);
  return fmt::format("{}{}", fmt::join(all, ", "),
                     beyond > 0 ? fmt::format(" and {} more", beyond) : "");
}

// A text for operators: one line, short, and nothing that moves a cursor.
std::string Shown(const std::string& text) {
  auto shown = observe::Sanitized(text.substr(0, observe::Utf8Prefix(text, kMaxName)));
  std::ranges::replace(shown, '\t', ' ');  // which a log line may have
  return shown;
}

absl::Status Malformed(const std::string& what) {
  return Error(absl::StatusCode::kInvalidArgument,
               "its answer to Negotiate breaks the contract: {}", what);
}

absl::Status CheckCapabilities(const PluginAnswer& answer) {
  if (answer.capabilities.size() > kMaxCapabilities) {
    return Malformed(
        fmt::format("{} capabilities, more than {}", answer.capabilities.size(), kMaxCapabilities));
  }
  std::set<std::string> seen;
  for (const Capability& one : answer.capabilities) {
    if (const std::string wrong = config::CheckCapability(one.name); !wrong.empty()) {
      return Malformed("a capability's name " + wrong);
    }
    if (!seen.insert(one.name).second) {
      return Malformed(fmt::format("the capability {} is there twice", one.name));
    }
    if (one.versions.empty() || one.versions.size() > kMaxVersionsOfCapability) {
      return Malformed(fmt::format("the capability {} has {} versions, not 1 to {}", one.name,
                                   one.versions.size(), kMaxVersionsOfCapability));
    }
    for (const std::string& version : one.versions) {
      if (!ParseVersion(version)) {
        return Malformed(fmt::format("the capability {} has the version \"{}\", not MAJOR.MINOR",
                                     one.name, Shown(version)));
      }
    }
  }
  return absl::OkStatus();
}

bool IsServiceName(const std::string& name) {
  return !name.empty() && name.size() <= kMaxService && std::ranges::all_of(name, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '.';
  });
}

absl::Status CheckServices(const PluginAnswer& answer) {
  if (answer.services.size() > kMaxServices) {
    return Malformed(
        fmt::format("{} services, more than {}", answer.services.size(), kMaxServices));
  }
  for (const std::string& service : answer.services) {
    if (!IsServiceName(service)) {
      return Malformed(fmt::format("\"{}\" is no service's full name", Shown(service)));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckSize(const PluginAnswer& answer) {
  size_t bytes = 0;
  for (const std::string& service : answer.services) bytes += service.size();
  for (const Capability& one : answer.capabilities) {
    bytes += one.name.size();
    for (const std::string& version : one.versions) bytes += version.size();
  }
  if (bytes > kMaxNegotiatedBytes) {
    return Malformed(fmt::format("services and capabilities of {} bytes, more than {}", bytes,
                                 kMaxNegotiatedBytes));
  }
  if (answer.config_schema.size() > kMaxConfigSchema) {
    return Malformed(fmt::format("a config_schema of {} bytes, more than {}",
                                 answer.config_schema.size(), kMaxConfigSchema));
  }
  return absl::OkStatus();
}

absl::Status Missing(const std::vector<std::string>& missing, const HostOffer& offer,
                     const std::string& plugin_has) {
  return WithReason(Error(absl::StatusCode::kFailedPrecondition,
                          "no agreement on {}; the host has {}; the plugin has {}",
                          fmt::join(missing, ", "), Describe(offer.capabilities), plugin_has),
                    "CAPABILITY_MISSING");
}

}  // namespace

HostOffer OfferTo(const config::PluginConfig& config, const std::string& instance,
                  const Handshake& handshake) {
  HostOffer offer{config.name, instance, handshake.protocol_version, config.protocol_versions, {}};
  std::map<std::string, Capability> all;
  for (const char* name : {kConfigReload, kDrain, kPeerCalls, kLogStructured, kTrace}) {
    all[name] = {name, {"1.0"}, false};
  }
  for (const auto& [name, version] : config.capabilities.offer)
    all[name] = {name, {version}, false};
  for (const std::string& name : config.capabilities.require) {
    Capability& required = all[name];
    required.name = name;
    required.required = true;
  }
  for (auto& [name, capability] : all) offer.capabilities.push_back(std::move(capability));
  return offer;
}

absl::StatusOr<Agreement> Agree(const HostOffer& offer, const PluginAnswer& answer) {
  RETURN_IF_ERROR(CheckCapabilities(answer));
  RETURN_IF_ERROR(CheckServices(answer));
  RETURN_IF_ERROR(CheckSize(answer));
  Agreement agreement;
  agreement.version = Shown(answer.version);
  agreement.sdk = Shown(answer.sdk_language);
  if (!answer.sdk_version.empty()) agreement.sdk += " " + Shown(answer.sdk_version);
  const std::set<std::string> services(answer.services.begin(), answer.services.end());
  agreement.services.assign(services.begin(), services.end());

  std::vector<std::string> missing;
  std::map<std::string, const Capability*> theirs;
  for (const Capability& one : answer.capabilities) theirs[one.name] = &one;
  for (const Capability& ours : offer.capabilities) {
    const auto found = theirs.extract(ours.name);
    const auto version = found ? Common(ours, *found.mapped()) : std::nullopt;
    if (version) {
      agreement.capabilities[ours.name] = ToString(*version);
    } else if (ours.required || (found && found.mapped()->required)) {
      missing.push_back(fmt::format(
          "{} ({})", ours.name, ours.required ? "required by the host" : "required by the plugin"));
    }
  }
  for (const auto& [name, capability] : theirs) {
    if (capability->required) missing.push_back(name + " (required by the plugin)");
  }
  if (!missing.empty()) return Missing(missing, offer, Describe(answer.capabilities));
  return agreement;
}

absl::Status AgreeOnNothing(const HostOffer& offer) {
  std::vector<std::string> missing;
  for (const Capability& ours : offer.capabilities) {
    if (ours.required) missing.push_back(ours.name + " (required by the host)");
  }
  if (missing.empty()) return absl::OkStatus();
  return Missing(missing, offer, "none: it does not serve plugind.plugin.v1.Plugin");
}

}  // namespace plugind::supervisor
