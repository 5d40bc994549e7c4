#include "daemon/supervisor/handshake.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/un.h>

#include <algorithm>
#include <charconv>

#include "daemon/tls/identity.h"

namespace plugind::supervisor {
namespace {

constexpr uint32_t kCoreVersion = 1;
constexpr size_t kMaxLine = size_t{64} * 1024;
constexpr size_t kMaxShown = 80;
constexpr size_t kMaxCertificate = size_t{8} * 1024;  // a plugin's record has to hold it

// A part of the line as it may be shown to a person: one short printable line, whatever was in it.
std::string Shown(std::string_view text) {
  std::string shown;
  for (const char c : text.substr(0, kMaxShown)) {
    shown += c >= ' ' && c <= '~' ? c : '?';
  }
  return shown + (text.size() > kMaxShown ? "…" : "");
}

std::string Quoted(std::string_view text) { return fmt::format("\"{}\"", Shown(text)); }

std::string_view Trim(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n\v\f";
  const size_t begin = text.find_first_not_of(kSpace);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kSpace) - begin + 1);
}

std::vector<std::string_view> Split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  while (true) {
    const size_t at = text.find(separator);
    parts.push_back(text.substr(0, at));
    if (at == std::string_view::npos) return parts;
    text.remove_prefix(at + 1);
  }
}

std::optional<uint32_t> Number(std::string_view text) {
  uint32_t value = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || stop != end || text.empty()) return std::nullopt;
  return value;
}

bool AllDigits(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
}

// Standard base64, padded or not.
std::optional<std::string> DecodeBase64(std::string_view text) {
  while (!text.empty() && text.back() == '=') text.remove_suffix(1);
  std::string out;
  uint32_t bits = 0;
  int count = 0;
  for (const char c : text) {
    uint32_t value = 0;
    if (c >= 'A' && c <= 'Z') {
      value = static_cast<uint32_t>(c - 'A');
    } else if (c >= 'a' && c <= 'z') {
      value = static_cast<uint32_t>(c - 'a') + 26;
    } else if (c >= '0' && c <= '9') {
      value = static_cast<uint32_t>(c - '0') + 52;
    } else if (c == '+') {
      value = 62;
    } else if (c == '/') {
      value = 63;
    } else {
      return std::nullopt;
    }
    bits = (bits << 6U) | value;
    count += 6;
    if (count >= 8) {
      count -= 8;
      out += static_cast<char>((bits >> static_cast<uint32_t>(count)) & 0xffU);
    }
  }
  if (count >= 6) return std::nullopt;  // a lone character at the end
  return out;
}

// Whether `der` is one ASN.1 SEQUENCE that fills it: what any X.509 certificate is.
bool IsOneSequence(std::string_view der) {
  if (der.size() < 2 || der[0] != 0x30) return false;
  size_t length = static_cast<unsigned char>(der[1]);
  size_t header = 2;
  if (length >= 0x80) {
    const size_t octets = length & 0x7fU;
    if (octets == 0 || octets > 4 || der.size() < 2 + octets) return false;
    length = 0;
    for (size_t i = 0; i < octets; ++i) {
      length = (length << 8U) | static_cast<unsigned char>(der[2 + i]);
    }
    header += octets;
  }
  return header + length == der.size();
}

std::string CheckUnixAddress(std::string_view address, const HandshakeTerms& terms) {
  if (address.empty() || address[0] != '/') {
    return fmt::format("the address {} is not an absolute path", Quoted(address));
  }
  if (address.size() >= sizeof(sockaddr_un::sun_path)) {
    return fmt::format("the address has {} bytes; a socket's path may have {}", address.size(),
                       sizeof(sockaddr_un::sun_path) - 1);
  }
  if (address.find('\0') != std::string_view::npos) return "the address contains a NUL byte";
  const bool inside = address.size() > terms.directory.size() + 1 &&
                      address.substr(0, terms.directory.size()) == terms.directory &&
                      address[terms.directory.size()] == '/';
  const auto parts = Split(address, '/');
  const bool climbs = std::ranges::any_of(parts, [](auto part) { return part == ".."; });
  if (!inside || climbs) {
    return fmt::format(
        "the address {} lies outside the directory made for it, {}: listen in "
        "$PLUGIN_UNIX_SOCKET_DIR",
        Quoted(address), terms.directory);
  }
  return "";
}

// Field 6: there exactly when it was asked for.
std::string TakeCertificate(std::string_view field, const HandshakeTerms& terms,
                            std::string* certificate) {
  if (field.empty()) {
    if (!terms.auto_mtls) return "";
    return "the handshake has no certificate (field 6), though `auto_mtls` is set: the plugin has "
           "its own TLS or ignores AutoMTLS";
  }
  const auto der = DecodeBase64(field);
  if (!der || !IsOneSequence(*der)) {
    return "the handshake's certificate (field 6) is not base64 of a DER certificate";
  }
  if (!terms.auto_mtls) {
    return "the plugin serves TLS (it sent a certificate), which this host did not offer: set "
           "`auto_mtls`";
  }
  if (der->size() > kMaxCertificate) {
    return fmt::format("the handshake's certificate (field 6) has {} bytes; it may have {}",
                       der->size(), kMaxCertificate);
  }
  if (!tls::IsCertificate(*der)) {
    return "the handshake's certificate (field 6) is no X.509 certificate";
  }
  *certificate = *der;
  return "";
}

std::string CheckTcpAddress(std::string_view address, const HandshakeTerms& terms) {
  if (!terms.allow_tcp) {
    return fmt::format(
        "it listens on TCP ({}), which its configuration does not allow: add \"tcp\" "
        "to `network`, or listen in $PLUGIN_UNIX_SOCKET_DIR",
        Quoted(address));
  }
  const size_t colon = address.rfind(':');
  const auto host = address.substr(0, colon == std::string_view::npos ? 0 : colon);
  const auto port =
      colon == std::string_view::npos ? std::nullopt : Number(address.substr(colon + 1));
  if (!port || *port == 0 || *port > 65535) {
    return fmt::format("the address {} is not HOST:PORT", Quoted(address));
  }
  if (host != "127.0.0.1" && host != "[::1]" && host != "localhost") {
    return fmt::format(
        "it listens on {}; only the loopback addresses 127.0.0.1 and [::1] are allowed",
        Quoted(address));
  }
  return "";
}

}  // namespace

bool LooksLikeHandshake(std::string_view line) {
  // More than the pattern of an accepted line: whatever begins "number|number|" and has a third
  // field was meant as one, and is better refused with its reason than kept as a log line.
  const auto fields = Split(Trim(line.substr(0, kMaxLine)), '|');
  return fields.size() >= 3 && AllDigits(fields[0]) && AllDigits(fields[1]);
}

std::optional<Handshake> ParseHandshake(std::string_view line, const HandshakeTerms& terms,
                                        std::string* error) {
  const auto fields = Split(Trim(line), '|');
  const auto refuse = [&](std::string why) {
    *error = std::move(why);
    return std::nullopt;
  };
  if (fields.size() < 4) {
    return refuse(
        fmt::format("the handshake {} has {} fields; expected CORE|APP|NETWORK|ADDRESS|PROTOCOL",
                    Quoted(line), fields.size()));
  }
  if (const auto core = Number(fields[0]); core != kCoreVersion) {
    return refuse(fmt::format("the handshake has core protocol version {}; this host speaks {}",
                              Shown(fields[0]), kCoreVersion));
  }
  Handshake handshake;
  const auto version = Number(fields[1]);
  if (!version ||
      std::ranges::find(terms.protocol_versions, *version) == terms.protocol_versions.end()) {
    return refuse(fmt::format("the plugin speaks protocol version {}; its configuration offers {}",
                              Shown(fields[1]), fmt::join(terms.protocol_versions, ", ")));
  }
  handshake.protocol_version = *version;

  if (fields[2] == "unix") {
    handshake.network = Network::kUnix;
  } else if (fields[2] == "tcp") {
    handshake.network = Network::kTcp;
  } else {
    return refuse(
        fmt::format("the handshake names the network {}; expected unix or tcp", Quoted(fields[2])));
  }

  // The protocol comes before the address in importance: a netrpc plugin needs another build, not
  // another socket.
  if (fields.size() < 5 || fields[4].empty()) {
    return refuse("the handshake names no protocol, which means netrpc; plugind speaks grpc only");
  }
  if (fields[4] == "netrpc") {
    return refuse(
        "the plugin speaks netrpc; plugind speaks grpc only: build the plugin with a gRPC server");
  }
  if (fields[4] != "grpc") {
    return refuse(
        fmt::format("the handshake names the protocol {}; expected grpc", Quoted(fields[4])));
  }

  std::string wrong = handshake.network == Network::kUnix ? CheckUnixAddress(fields[3], terms)
                                                          : CheckTcpAddress(fields[3], terms);
  if (!wrong.empty()) return refuse(std::move(wrong));
  handshake.address = fields[3];

  wrong = TakeCertificate(fields.size() > 5 ? fields[5] : "", terms, &handshake.certificate);
  if (!wrong.empty()) return refuse(std::move(wrong));
  if (fields.size() > 6 && (fields[6] == "true" || fields[6] == "1")) {
    return refuse("the plugin multiplexes its socket (field 7), which this host did not ask for");
  }
  return handshake;
}

bool PreambleLimit::Allows(std::string_view line, bool truncated, std::string* error) {
  ++lines_;
  bytes_ += line.size() + 1;
  if (truncated || bytes_ > kBytes) {
    *error = fmt::format("more than {} KiB on stdout before the handshake", kBytes / 1024);
    if (truncated) *error = "an overlong line on stdout before the handshake";
    return false;
  }
  if (lines_ > kLines) {
    *error = fmt::format("more than {} lines on stdout before the handshake", kLines);
    return false;
  }
  return true;
}

}  // namespace plugind::supervisor
