// The listening socket of plugind's pages for probes and metrics. Not kept with the keeper: between
// two lives of plugind there is nothing to tell, and a scrape that fails says so.
#pragma once

#include <string>

#include "daemon/base/status.h"
#include "daemon/base/unique_fd.h"

namespace plugind {

struct HttpListener {
  UniqueFd fd;          // listening, non-blocking
  std::string address;  // as configured, with the port that was chosen where it was 0
  std::string path;     // of a Unix socket, to be unlinked at the end; else empty
};

// `address`: as config::CheckListen takes it, not empty. A Unix socket that a dead process left is
// replaced; one that somebody answers on, a file that is no socket, and a port in use are errors.
// A Unix socket is open to whoever reaches its folder, as a port of loopback is to everybody here.
absl::StatusOr<HttpListener> ListenHttp(const std::string& address);

}  // namespace plugind
