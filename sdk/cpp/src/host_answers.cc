#include "sdk/cpp/src/host_answers.h"

#include <cstdint>
#include <string>
#include <utility>

#include "sdk/cpp/src/wire_fields.h"

namespace plugind::sdk {
namespace {

std::optional<Peer> ReadPeer(std::string_view message) {
  Peer peer;
  WireFields field(message);
  while (field.Next()) {
    if (field.Is(1)) peer.name = field.bytes();
    if (field.Is(2)) peer.state = field.bytes();
    if (field.Is(3)) peer.version = field.bytes();
    if (field.Is(4)) peer.services.emplace_back(field.bytes());
    if (field.Is(5)) peer.methods.emplace_back(field.bytes());
  }
  if (field.malformed()) return std::nullopt;
  return peer;
}

}  // namespace

std::optional<Identity> ReadIdentity(std::string_view get_self_response) {
  Identity identity;
  WireFields field(get_self_response);
  while (field.Next()) {
    if (field.Is(1)) identity.name = field.bytes();
    if (field.Is(2)) identity.instance = field.bytes();
    if (field.number() == 3) identity.protocol_version = static_cast<uint32_t>(field.varint());
    if (field.Is(4)) {
      std::pair<std::string, std::string> entry;
      if (!ReadEntry(field.bytes(), entry)) return std::nullopt;
      identity.capabilities[std::move(entry.first)] = std::move(entry.second);
    }
    if (field.Is(5)) identity.host = field.bytes();
    if (field.Is(6)) identity.host_version = field.bytes();
  }
  if (field.malformed()) return std::nullopt;
  return identity;
}

std::optional<std::vector<Peer>> ReadPeers(std::string_view list_peers_response) {
  std::vector<Peer> peers;
  WireFields field(list_peers_response);
  while (field.Next()) {
    if (!field.Is(1)) continue;
    std::optional<Peer> peer = ReadPeer(field.bytes());
    if (!peer) return std::nullopt;
    peers.push_back(*std::move(peer));
  }
  if (field.malformed()) return std::nullopt;
  return peers;
}

}  // namespace plugind::sdk
