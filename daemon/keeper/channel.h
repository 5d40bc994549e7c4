// Packets with fds over the socket between plugind and its keeper; used by both ends. Never blocks.
#pragma once

#include <array>
#include <cstddef>
#include <initializer_list>
#include <string_view>
#include <vector>

#include "daemon/base/unique_fd.h"
#include "daemon/keeper/protocol.h"

namespace plugind::keeper {

enum class Sent {
  kYes,
  kFull,    // poll for POLLOUT
  kNoRoom,  // the kernel has no memory, or too many fds are under way: try again a little later
  kBroken,  // the peer is gone
};
Sent SendPacket(int socket, std::string_view bytes, std::initializer_list<int> fds);

// Receives into a buffer of its own, which the returned views point into.
class PacketReader {
 public:
  enum class Got {
    kPacket,
    kNothing,  // poll for POLLIN
    kEnd,      // the peer has closed, or the socket failed
  };
  // `wait`: sleeps until there is a packet.
  Got Next(int socket, bool wait);

  std::string_view bytes() const { return {buffer_.data(), size_}; }
  // The next fd that came with the packet; invalid when there is none (or this process had no
  // number left for it).
  UniqueFd TakeFd();

 private:
  std::array<char, kMaxMessageBytes + 1> buffer_;  // one more: a longer packet shows
  size_t size_ = 0;
  std::vector<UniqueFd> fds_;
};

}  // namespace plugind::keeper
