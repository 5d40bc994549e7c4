// Plain connections to a plugin, for what no gRPC client would send. Any thread.
#pragma once

#include <string>
#include <string_view>

#include "daemon/base/unique_fd.h"
#include "daemon/pluginctl/conformance/handshake.h"
#include "daemon/pluginctl/deadline.h"

namespace plugind::pluginctl::conformance {

struct Connected {
  UniqueFd fd;  // blocking
  int error = 0;
  bool ok() const { return error == 0; }
};
Connected Connect(const Handshake& handshake);

// As much of it as the other side takes within a second; never SIGPIPE.
void SendSome(const UniqueFd& fd, std::string_view bytes);
// Reads and forgets until the other side closes, or the deadline passes: then false.
bool AwaitClose(const UniqueFd& fd, Deadline deadline);

}  // namespace plugind::pluginctl::conformance
