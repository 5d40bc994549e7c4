// Drain ends a running server in bounded time: running calls get the author's timeout, connections
// on which nothing runs get a moment to answer the goodbye, and a handler that never returns gets
// the process ended around it.
#pragma once

#include <chrono>

#include "sdk/cpp/src/server.h"

namespace plugind::sdk {

// What becomes of a call that ignores even its cancellation.
enum class Late {
  kExit,   // the process ends with code 0
  kAbort,  // it aborts, in a test
};

// Returns when every call is over. New calls are refused from the start; those that run at
// `timeout` are cancelled; if one ignores even that for a second, `late` ends the process and this
// never returns.
void Drain(const Server& server, std::chrono::milliseconds timeout, Late late);

}  // namespace plugind::sdk
