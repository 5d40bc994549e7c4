// The handshake as it was seen, and what is wrong with it. Stricter than a host has to be: plugind
// takes more than this, so that plugins of others run. Pure, but for the socket that it looks at.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace plugind::pluginctl::conformance {

struct Handshake {
  std::vector<std::string> before;  // lines on stdout that came earlier
  std::string line;
  bool whole = true;                 // it ended with a newline
  std::chrono::milliseconds took{};  // from the start of the process
  std::vector<std::string> fields;
  // What connect() said as soon as the line was there; 0: it worked. Empty: there is no address.
  std::optional<int> connected;

  std::string_view field(size_t index) const {
    return index < fields.size() ? std::string_view(fields[index]) : std::string_view();
  }
};

enum Field : size_t {
  kCore,
  kApp,
  kNetwork,
  kAddress,
  kProtocol,
  kCertificate,
  kMultiplex
};

// Digits|digits|anything: a line that a host takes for the handshake, right or wrong.
bool LooksLikeHandshake(std::string_view line);
std::vector<std::string> SplitFields(std::string_view line);

// Each is empty where nothing is wrong.
std::string WrongFields(const Handshake& handshake);
std::string WrongCore(const Handshake& handshake);
std::string WrongVersion(const Handshake& handshake, const std::vector<uint32_t>& offered);
std::string WrongNetwork(const Handshake& handshake, bool allow_tcp);
std::string WrongAddress(const Handshake& handshake, const std::string& directory);
std::string WrongProtocol(const Handshake& handshake);

// "7" → 7; nothing for anything else.
std::optional<uint32_t> ParseNumber(std::string_view text);

// As gRPC wants it: "unix:/path" with what is special in it escaped, or "127.0.0.1:4000".
std::string Target(const Handshake& handshake);
// What a plain connect() to the address says: 0 or errno.
int Probe(const Handshake& handshake);

}  // namespace plugind::pluginctl::conformance
