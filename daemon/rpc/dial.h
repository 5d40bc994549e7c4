// Connects to the address of a plugin's handshake and makes sure that it is that plugin who listens
// there. The connected fd that was checked is the one that is used, so nothing can be swapped in
// between.
#pragma once

#include "daemon/base/status.h"
#include "daemon/base/unique_fd.h"
#include "daemon/supervisor/plugin_client.h"

namespace plugind::rpc {

// One try; a Unix socket's answer is immediate, a loopback TCP one's nearly so.
//   UNAVAILABLE          nobody listens there yet
//   FAILED_PRECONDITION  what is there is not this plugin's socket; final
// Who listens must be the plugin's main process, a descendant of it, or of its session: on a Unix
// socket SO_PEERCRED tells, for TCP see tcp_listener.h.
absl::StatusOr<UniqueFd> Dial(const supervisor::Endpoint& endpoint);

}  // namespace plugind::rpc
