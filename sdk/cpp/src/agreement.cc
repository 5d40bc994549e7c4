#include "sdk/cpp/src/agreement.h"

#include <algorithm>

namespace plugind::sdk {

std::map<std::string, std::string> Agree(
    const std::vector<Capability>& host,
    const google::protobuf::RepeatedPtrField<plugin::v1::Capability>& plugin) {
  std::map<std::string, std::map<int, int>> offered;  // name to minors by major
  for (const Capability& each : host) {
    for (const std::string& version : each.versions) {
      if (const auto parsed = ParseVersion(version)) offered[each.name].insert(*parsed);
    }
  }
  std::map<std::string, std::string> agreed;
  for (const auto& each : plugin) {
    int best = -1;
    for (const std::string& version : each.versions()) {
      const auto parsed = ParseVersion(version);
      if (!parsed || parsed->first <= best) continue;
      const auto& minors = offered[each.name()];
      const auto common = minors.find(parsed->first);
      if (common == minors.end()) continue;
      best = parsed->first;
      agreed[each.name()] =
          std::to_string(best) + "." + std::to_string(std::min(common->second, parsed->second));
    }
  }
  return agreed;
}

}  // namespace plugind::sdk
