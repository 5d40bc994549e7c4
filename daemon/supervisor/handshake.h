// The handshake: one line on a plugin's stdout, "CORE|APP|NETWORK|ADDRESS|PROTOCOL[|CERT[|MUX]]",
// as hashicorp/go-plugin defines it (reference: go-plugin v1.7.0, client.go). Everything here
// parses bytes of an untrusted program; pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace plugind::supervisor {

enum class Network : uint8_t {
  kUnix,
  kTcp,
};

struct Handshake {
  uint32_t protocol_version = 0;  // the application's
  Network network = Network::kUnix;
  std::string address;           // an absolute path, or HOST:PORT with a loopback HOST
  std::string certificate = {};  // the plugin's, DER, exactly when AutoMTLS was asked for

  friend bool operator==(const Handshake&, const Handshake&) = default;
};

// What the host offered and allows.
struct HandshakeTerms {
  std::vector<uint32_t> protocol_versions;
  bool allow_tcp = false;
  std::string directory;  // a Unix address must lie in it; absolute, canonical, no trailing slash
  bool auto_mtls =
      false;  // the plugin was given a client's certificate, and has to answer with its
};

// Whether a line is meant to be a handshake: digits|digits|unix or tcp|… Lines before it that are
// not are log lines.
bool LooksLikeHandshake(std::string_view line);

// The handshake in `line`, or why it is refused, in `error`: a sentence for the plugin's author
// that names what was found and what was expected. A refusal is final: the same program would
// answer the same again.
std::optional<Handshake> ParseHandshake(std::string_view line, const HandshakeTerms& terms,
                                        std::string* error);

// Counts what comes before the handshake: ≤ 64 lines and ≤ 64 KiB in all.
class PreambleLimit {
 public:
  static constexpr uint32_t kLines = 64;
  static constexpr size_t kBytes = size_t{64} * 1024;

  // False once `line` exceeds a limit; `error` says which.
  bool Allows(std::string_view line, bool truncated, std::string* error);

 private:
  uint32_t lines_ = 0;
  size_t bytes_ = 0;
};

}  // namespace plugind::supervisor
