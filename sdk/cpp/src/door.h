// A Door is the Unix socket by which a client's calls enter plugind: plugind.sock, with a socket
// for each plugin beside it, or a plugin's own, with all its peers behind it. Functions here are
// pure but for the environment and the working directory, and throw std::invalid_argument.
#pragma once

#include <sys/types.h>

#include <string>

namespace plugind::sdk {

struct Door {
  std::string socket;    // absolute
  bool is_host = false;  // a plugin's own: the peer is chosen by metadata
};

// As the environment says, for a process of `user`; see plugind::Client.
Door FindDoor(uid_t user);

// plugind.sock at `socket`, which may begin with "unix:".
Door FrontDoor(const std::string& socket);

// Where calls to `plugin` go in.
std::string SocketFor(const Door& door, const std::string& plugin);

// The gRPC target of a socket.
std::string TargetOf(const std::string& socket);

}  // namespace plugind::sdk
