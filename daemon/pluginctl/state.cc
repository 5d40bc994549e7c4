#include "daemon/pluginctl/state.h"

#include <algorithm>
#include <cctype>

namespace plugind::pluginctl {

using v1::Plugin;

std::string StateName(Plugin::State state) {
  const std::string& name = Plugin::State_Name(state);
  return name.empty() ? std::to_string(static_cast<int>(state)) : name;
}

std::optional<Plugin::State> ParseState(std::string_view name) {
  std::string upper(name);
  std::ranges::transform(upper, upper.begin(),
                         [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  Plugin::State state = Plugin::STATE_UNSPECIFIED;
  if (!Plugin::State_Parse(upper, &state) || state == Plugin::STATE_UNSPECIFIED)
    return std::nullopt;
  return state;
}

std::vector<std::string> StateNames() {
  std::vector<std::string> names;
  const auto* states = Plugin::State_descriptor();
  for (int i = 0; i < states->value_count(); ++i) {
    if (states->value(i)->number() != Plugin::STATE_UNSPECIFIED)
      names.push_back(states->value(i)->name());
  }
  return names;
}

Colour StateColour(Plugin::State state) {
  switch (state) {
    case Plugin::READY:
      return Colour::kGreen;
    case Plugin::STARTING:
    case Plugin::WAITING:
    case Plugin::DRAINING:
    case Plugin::STOPPING:
      return Colour::kCyan;
    case Plugin::UNREADY:
    case Plugin::BACKOFF:
      return Colour::kYellow;
    case Plugin::QUARANTINED:
    case Plugin::FAILED:
      return Colour::kRed;
    case Plugin::STOPPED:
      return Colour::kDim;
    case Plugin::STATE_UNSPECIFIED:
    case v1::Plugin_State_Plugin_State_INT_MIN_SENTINEL_DO_NOT_USE_:
    case v1::Plugin_State_Plugin_State_INT_MAX_SENTINEL_DO_NOT_USE_:
      return Colour::kNone;
  }
  return Colour::kNone;  // a state that only a newer daemon knows
}

bool IsUnhealthy(const Plugin& plugin) {
  return plugin.enabled() && plugin.wanted() && plugin.state() != Plugin::READY;
}

}  // namespace plugind::pluginctl
