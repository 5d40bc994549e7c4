#include "daemon/plugind/routes.h"

#include <fmt/format.h>
#include <grp.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <optional>

#include "daemon/supervisor/negotiation.h"

namespace plugind {
namespace {

std::optional<uint32_t> ParseId(std::string_view text) {
  uint32_t id = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), id);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return id;
}

std::optional<uint32_t> GroupId(const std::string& name) {
  if (const auto id = ParseId(name)) return id;
  std::vector<char> buffer(16 * 1024);
  group entry{};
  group* found = nullptr;
  if (::getgrnam_r(name.c_str(), &entry, buffer.data(), buffer.size(), &found) != 0 ||
      found == nullptr) {
    return std::nullopt;
  }
  return found->gr_gid;
}

gateway::Availability AvailabilityOf(const supervisor::PluginStatus& status) {
  switch (status.state) {
    case supervisor::State::kReady:
      return gateway::Availability::kReady;
    case supervisor::State::kWaiting:
    case supervisor::State::kStarting:
    case supervisor::State::kUnready:
    case supervisor::State::kBackoff:
      return gateway::Availability::kComing;
    case supervisor::State::kDraining:
    case supervisor::State::kStopping:
      return status.wanted ? gateway::Availability::kComing : gateway::Availability::kAbsent;
    case supervisor::State::kStopped:
    case supervisor::State::kQuarantined:
    case supervisor::State::kFailed:
      return gateway::Availability::kAbsent;
  }
  return gateway::Availability::kAbsent;
}

}  // namespace

gateway::CallerSet CallersOf(const std::vector<std::string>& principals) {
  gateway::CallerSet set;
  for (const std::string& principal : principals) {
    const size_t colon = principal.find(':');
    const std::string kind = principal.substr(0, colon);
    const std::string value = colon == std::string::npos ? "" : principal.substr(colon + 1);
    if (principal == "*") {
      set.AddEveryone();
    } else if (kind == "uid") {
      if (const auto uid = ParseId(value)) set.AddUid(*uid);
    } else if (kind == "group") {
      if (const auto gid = GroupId(value)) set.AddGroup(*gid);
    } else if (kind == "plugin") {
      set.AddPlugin(value);
    }
  }
  return set;
}

gateway::RoutePtr MakeRoute(const config::PluginConfig& config,
                            const supervisor::PluginStatus& status,
                            std::shared_ptr<gateway::PluginLoad> load,
                            gateway::InstancePtr instance) {
  auto route = std::make_shared<gateway::Route>();
  route->plugin = config.name;
  route->availability = AvailabilityOf(status);
  route->reason = fmt::format("{} is {}{}{}", config.name, supervisor::ToString(status.state),
                              status.reason.empty() ? "" : ": ", status.reason);
  if (instance != nullptr) route->instances.push_back(std::move(instance));
  route->load = std::move(load);
  route->callers_set = !config.access.callers.empty();
  route->callers = CallersOf(config.access.callers);
  if (!route->callers_set) route->callers.AddUid(::geteuid());
  // Root can become anybody, so denying it would be theatre.
  route->callers.AddUid(0);
  route->calls = config.access.calls;
  const auto agreed = [&](const char* capability) {
    return !status.contract || status.capabilities.contains(capability);
  };
  route->peer_calls = agreed(supervisor::kPeerCalls);
  route->begins_traces = agreed(supervisor::kTrace);
  route->timeout = config.call.timeout;
  route->max_in_flight = config.call.max_in_flight;
  route->idempotent.insert(config.call.idempotent.begin(), config.call.idempotent.end());
  return route;
}

}  // namespace plugind
