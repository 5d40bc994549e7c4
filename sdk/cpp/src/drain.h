// Drain ends a running server in bounded time: running calls get the author's timeout, connections
// on which nothing runs get a moment to answer the goodbye, and a handler that never returns gets
// the process ended around it.
#pragma once

#include <chrono>

#include "sdk/cpp/src/server.h"

namespace plugind::sdk {

// Returns when every call is over. New calls are refused from the start; those that run at
// `timeout` are cancelled; if one ignores even that for a second, this ends the process with code 0
// and never returns.
void Drain(const Server& server, std::chrono::milliseconds timeout);

}  // namespace plugind::sdk
