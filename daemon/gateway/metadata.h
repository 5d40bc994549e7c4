// What of a call's headers goes through the gateway. Nothing that gRPC's own libraries would refuse
// to send is passed on: some of them abort their process when they meet it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace plugind::gateway {

struct Header {
  std::string name;
  std::string value;
};
using Headers = std::vector<Header>;

enum class HeaderKind {
  kPass,      // the application's, or one of gRPC's that goes through as it is
  kConsumed,  // the gateway reads it and sends its own: pseudo headers, te, grpc-timeout, …
  kReserved,  // begins "plugind-": only the gateway may say it
  kHop,       // of this connection alone: connection, keep-alive, …
  kIllegal,   // gRPC knows no such name or value
};
HeaderKind Classify(std::string_view name, std::string_view value);

// traceparent of W3C Trace Context, version 00, with an id that is not zero.
bool IsTraceparent(std::string_view value);
// A new one, sampled. Not for secrets: the random bits come from a fast generator of this thread.
std::string NewTraceparent();
// The 32 digits of the trace's id.
std::string_view TraceId(std::string_view traceparent);

}  // namespace plugind::gateway
