// What plugind.host.v1.Host answers, read by hand: see wire_fields.h. Pure functions. Nothing:
// malformed.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "plugind/peers.h"

namespace plugind::sdk {

std::optional<Identity> ReadIdentity(std::string_view get_self_response);

std::optional<std::vector<Peer>> ReadPeers(std::string_view list_peers_response);

}  // namespace plugind::sdk
