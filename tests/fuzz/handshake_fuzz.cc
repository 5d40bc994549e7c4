// The handshake line: whatever a plugin prints, it is accepted only when it keeps what the host
// asked for, and refused with one short printable line otherwise.

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "daemon/supervisor/handshake.h"

namespace {

using plugind::supervisor::Handshake;
using plugind::supervisor::HandshakeTerms;
using plugind::supervisor::LooksLikeHandshake;
using plugind::supervisor::Network;
using plugind::supervisor::ParseHandshake;
using plugind::supervisor::PreambleLimit;

void Require(bool holds) {
  if (!holds) std::abort();
}

void CheckAccepted(const Handshake& handshake, const HandshakeTerms& terms) {
  Require(std::ranges::find(terms.protocol_versions, handshake.protocol_version) !=
          terms.protocol_versions.end());
  Require(handshake.certificate.empty() != terms.auto_mtls);
  Require(handshake.certificate.size() <= 8192);
  const std::string& address = handshake.address;
  if (handshake.network == Network::kTcp) {
    Require(terms.allow_tcp);
    Require(address.starts_with("127.0.0.1:") || address.starts_with("[::1]:") ||
            address.starts_with("localhost:"));
    return;
  }
  Require(address.size() <= 107);
  Require(address.starts_with(terms.directory + "/"));
  Require(address.size() > terms.directory.size() + 1);
  Require(address.find('\0') == std::string::npos);
  Require((address + "/").find("/../") == std::string::npos);
}

void CheckRefusal(const std::string& error) {
  Require(!error.empty() && error.size() < 1024);
  Require(std::ranges::none_of(error, [](char c) { return c >= 0 && c < ' '; }));
}

void CheckLine(std::string_view line, bool allow_tcp, bool auto_mtls) {
  const HandshakeTerms terms{{1, 5, 6}, allow_tcp, "/run/x/i/ab", auto_mtls};
  std::string error;
  const auto handshake = ParseHandshake(line, terms, &error);
  if (handshake) {
    CheckAccepted(*handshake, terms);
    // What would be accepted is never mistaken for a log line.
    Require(LooksLikeHandshake(line));
  } else {
    CheckRefusal(error);
  }
}

// Never more before the handshake than the limits say.
void CheckPreamble(std::string_view output) {
  PreambleLimit limit;
  std::string error;
  uint32_t lines = 0;
  size_t bytes = 0;
  while (!output.empty()) {
    const size_t end = std::min(output.find('\n'), output.size());
    const std::string_view line = output.substr(0, end);
    const bool truncated = line.ends_with('\x01');
    if (!limit.Allows(line, truncated, &error)) return CheckRefusal(error);
    Require(!truncated);
    Require(++lines <= PreambleLimit::kLines);
    Require((bytes += line.size() + 1) <= PreambleLimit::kBytes);
    output.remove_prefix(std::min(end + 1, output.size()));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  for (const bool auto_mtls : {false, true}) {
    CheckLine(input, false, auto_mtls);
    CheckLine(input, true, auto_mtls);
  }
  CheckPreamble(input);
  return 0;
}
