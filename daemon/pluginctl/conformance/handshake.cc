#include "daemon/pluginctl/conformance/handshake.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <iterator>

#include "daemon/pluginctl/conformance/socket.h"
#include "daemon/pluginctl/text.h"

namespace plugind::pluginctl::conformance {
namespace {

constexpr size_t kLongestPath = sizeof(sockaddr_un::sun_path) - 1;

bool IsLoopback(std::string_view host) { return host == "127.0.0.1" || host == "[::1]"; }

}  // namespace

std::optional<uint32_t> ParseNumber(std::string_view text) {
  uint32_t value = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || stop != end) return std::nullopt;
  return value;
}

std::vector<std::string> SplitFields(std::string_view line) {
  constexpr std::string_view kSpace = " \t\r\n\v\f";
  const size_t begin = line.find_first_not_of(kSpace);
  if (begin == std::string_view::npos) return {};
  line = line.substr(begin, line.find_last_not_of(kSpace) - begin + 1);
  std::vector<std::string> fields;
  while (true) {
    const size_t at = line.find('|');
    fields.emplace_back(line.substr(0, at));
    if (at == std::string_view::npos) return fields;
    line.remove_prefix(at + 1);
  }
}

bool LooksLikeHandshake(std::string_view line) {
  const auto digits = [](const std::string& text) {
    return !text.empty() && std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
  };
  const std::vector<std::string> fields = SplitFields(line);
  return fields.size() >= 3 && digits(fields[0]) && digits(fields[1]);
}

std::string WrongFields(const Handshake& handshake) {
  const size_t count = handshake.fields.size();
  if (!handshake.whole)
    return fmt::format("\"{}\" does not end with a newline", Printable(handshake.line));
  if (count < 5) {
    return fmt::format("\"{}\" has {} fields; expected CORE|APP|NETWORK|ADDRESS|PROTOCOL",
                       Printable(handshake.line), count);
  }
  // go-plugin's Go library prints an empty field 6, and a seventh where it was asked for.
  if (!handshake.field(kCertificate).empty())
    return "field 6 has a certificate, which the host did not ask for";
  if (handshake.field(kMultiplex) == "true")
    return "field 7 says that the socket is multiplexed, which the host did not ask for";
  if (count > 7) return fmt::format("{} fields; expected 5, and 7 at most", count);
  return "";
}

std::string WrongCore(const Handshake& handshake) {
  const std::string_view core = handshake.field(kCore);
  if (core == "1") return "";
  return fmt::format("CORE is \"{}\"; expected 1", Printable(core));
}

std::string WrongVersion(const Handshake& handshake, const std::vector<uint32_t>& offered) {
  const auto version = ParseNumber(handshake.field(kApp));
  if (version && std::ranges::find(offered, *version) != offered.end()) return "";
  return fmt::format("APP is \"{}\"; PLUGIN_PROTOCOL_VERSIONS offered {}",
                     Printable(handshake.field(kApp)), fmt::join(offered, ","));
}

std::string WrongNetwork(const Handshake& handshake, bool allow_tcp) {
  const std::string_view network = handshake.field(kNetwork);
  if (network == "unix" || (network == "tcp" && allow_tcp)) return "";
  if (network == "tcp")
    return "NETWORK is tcp; hosts expect unix unless told otherwise (--tcp allows it here)";
  return fmt::format("NETWORK is \"{}\"; expected unix", Printable(network));
}

std::string WrongAddress(const Handshake& handshake, const std::string& directory) {
  const std::string address(handshake.field(kAddress));
  const std::string shown = Printable(address);
  if (handshake.field(kNetwork) == "tcp") {
    const size_t colon = address.rfind(':');
    const auto port =
        colon == std::string::npos ? std::nullopt : ParseNumber(address.substr(colon + 1));
    if (port && *port > 0 && *port < 65536 && IsLoopback(address.substr(0, colon))) return "";
    return fmt::format("ADDRESS is \"{}\"; expected 127.0.0.1:PORT or [::1]:PORT", shown);
  }
  if (!address.starts_with('/'))
    return fmt::format("ADDRESS is \"{}\"; expected an absolute path", shown);
  if (address.size() > kLongestPath)
    return fmt::format("ADDRESS has {} bytes; the path of a socket may have {}", address.size(),
                       kLongestPath);
  const bool climbs = ("/" + address + "/").find("/../") != std::string::npos;
  if (!address.starts_with(directory + "/") || climbs) {
    return fmt::format("ADDRESS is \"{}\"; it lies outside PLUGIN_UNIX_SOCKET_DIR, {}", shown,
                       directory);
  }
  // Whether it is there at all is for whoever connects to find out.
  struct stat file {};
  if (lstat(address.c_str(), &file) == 0 && !S_ISSOCK(file.st_mode))
    return fmt::format("ADDRESS is \"{}\", which is no socket", shown);
  return "";
}

std::string WrongProtocol(const Handshake& handshake) {
  const std::string_view protocol = handshake.field(kProtocol);
  if (protocol == "grpc") return "";
  if (protocol.empty()) return "there is no PROTOCOL, which means netrpc; expected grpc";
  return fmt::format("PROTOCOL is \"{}\"; expected grpc", Printable(protocol));
}

std::string Target(const Handshake& handshake) {
  const std::string_view address = handshake.field(kAddress);
  if (handshake.field(kNetwork) == "tcp") return std::string(address);
  // gRPC takes its target for a URI.
  std::string target = "unix:";
  for (const char c : address) {
    const bool plain =
        std::isalnum(static_cast<unsigned char>(c)) != 0 || std::strchr("/._-~", c) != nullptr;
    if (plain) {
      target += c;
    } else {
      fmt::format_to(std::back_inserter(target), "%{:02X}", static_cast<unsigned char>(c));
    }
  }
  return target;
}

int Probe(const Handshake& handshake) {
  const auto socket = Connect(handshake);
  return socket.ok() ? 0 : socket.error;
}

}  // namespace plugind::pluginctl::conformance
