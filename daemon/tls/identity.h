// A throw-away certificate and its key, as go-plugin's AutoMTLS wants them of a host: made for one
// launch of one plugin, which trusts nothing else, and worthless once that process has ended.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "daemon/base/clock.h"

namespace plugind::tls {

// PEM, both.
struct Identity {
  std::string certificate;
  std::string key;
  friend bool operator==(const Identity&, const Identity&) = default;
};

// ECDSA P-256, self-signed, for "localhost", as a client and as a server. Takes some 50 µs. Nothing
// only when there are no random numbers or no memory; `error` says which. Any thread.
std::optional<Identity> MakeIdentity(WallTime now, std::string* error);

// Whether `der` is exactly one X.509 certificate.
bool IsCertificate(std::string_view der);

}  // namespace plugind::tls
