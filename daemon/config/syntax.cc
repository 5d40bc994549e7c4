#include "daemon/config/syntax.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>

#include "daemon/config/value.h"

namespace plugind::config {
namespace {

constexpr size_t kMaxNameBytes = 48;
constexpr size_t kMaxCapabilityBytes = 128;
constexpr size_t kMaxSocketPathBytes = 107;  // sun_path without its final NUL

// Part of the handshake or set for every plugin; all of PLUGIND_* is reserved beside.
constexpr std::array<std::string_view, 8> kOwnVariables = {"PLUGIN_PROTOCOL_VERSIONS",  //
                                                           "PLUGIN_MIN_PORT",
                                                           "PLUGIN_MAX_PORT",
                                                           "PLUGIN_CLIENT_CERT",
                                                           "PLUGIN_UNIX_SOCKET_DIR",
                                                           "PLUGIN_UNIX_SOCKET_GROUP",
                                                           "PLUGIN_MULTIPLEX_GRPC",
                                                           "TMPDIR"};
constexpr std::string_view kDefaultCookie = "PLUGIND_PLUGIN";

bool IsLower(char c) { return c >= 'a' && c <= 'z'; }
bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsAlphanumeric(char c) { return IsLower(c) || IsDigit(c) || (c >= 'A' && c <= 'Z'); }
bool IsIdentifier(std::string_view text) {
  return !text.empty() && !IsDigit(text[0]) && std::all_of(text.begin(), text.end(), [](char c) {
    return IsAlphanumeric(c) || c == '_';
  });
}

// Written out, so that no resolver decides who may connect.
bool IsLoopback(std::string_view host) {
  if (host == "localhost" || host == "[::1]") return true;
  in_addr address{};
  return ::inet_pton(AF_INET, std::string(host).c_str(), &address) == 1 &&
         ntohl(address.s_addr) >> IN_CLASSA_NSHIFT == IN_LOOPBACKNET;
}

template <typename T>
bool IsNumber(std::string_view text, T max) {
  T number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc{} && end == text.data() + text.size() && number <= max &&
         IsDigit(text[0]) && (text.size() == 1 || text[0] != '0');
}

// "pkg.Service", the package being optional.
bool IsService(std::string_view text) {
  while (true) {
    const size_t dot = text.find('.');
    if (!IsIdentifier(text.substr(0, dot))) return false;
    if (dot == std::string_view::npos) return true;
    text.remove_prefix(dot + 1);
  }
}

// "pkg.Service/Method".
bool IsMethod(std::string_view text) {
  const size_t slash = text.find('/');
  return slash != std::string_view::npos && IsService(text.substr(0, slash)) &&
         IsIdentifier(text.substr(slash + 1));
}

bool IsGroupName(std::string_view text) {
  return !text.empty() && std::none_of(text.begin(), text.end(), [](char c) {
    return static_cast<unsigned char>(c) <= 0x20 || c == 0x7f || c == ':' || c == ',';
  });
}

// A uid or group that is well written; (uid_t)-1 is nobody.
bool IsUserOrGroup(std::string_view text) {
  if (text == "*") return true;
  if (text.starts_with("uid:")) return IsNumber<uint32_t>(text.substr(4), UINT32_MAX - 1);
  return text.starts_with("group:") && IsGroupName(text.substr(6));
}

bool IsReserved(std::string_view text) {
  return text.starts_with("PLUGIND_") ||
         std::find(kOwnVariables.begin(), kOwnVariables.end(), text) != kOwnVariables.end();
}

std::string CheckVariable(std::string_view text) {
  if (text.empty()) return "the name of an environment variable must not be empty";
  const bool odd = std::any_of(text.begin(), text.end(), [](char c) {
    return c == '=' || static_cast<unsigned char>(c) <= 0x20 || c == 0x7f;
  });
  if (!odd) return "";
  return fmt::format(
      "{} is no name for an environment variable: it has a space, a control character or \"=\"",
      Shown(text));
}

}  // namespace

std::string CheckName(std::string_view text) {
  const auto is_end = [](char c) { return IsLower(c) || IsDigit(c); };
  const bool good = !text.empty() && text.size() <= kMaxNameBytes && is_end(text.front()) &&
                    is_end(text.back()) && std::all_of(text.begin(), text.end(), [&](char c) {
                      return is_end(c) || c == '-' || c == '_' || c == '.';
                    });
  if (good) return "";
  return fmt::format(
      "{} is no plugin name: 1 to {} of a-z, 0-9, \"-\", \"_\" and \".\", with a letter or digit "
      "at "
      "both ends",
      Shown(text), kMaxNameBytes);
}

std::string CheckCaller(std::string_view text) {
  constexpr std::string_view kPlugin = "plugin:";
  if (IsUserOrGroup(text)) return "";
  if (text.starts_with(kPlugin) && CheckName(text.substr(kPlugin.size())).empty()) return "";
  return fmt::format(R"({} is no principal: write "uid:1000", "group:NAME", "plugin:NAME" or "*")",
                     Shown(text));
}

std::string CheckOperator(std::string_view text) {
  if (IsUserOrGroup(text)) return "";
  return fmt::format(R"({} is no principal: write "uid:1000", "group:NAME" or "*")", Shown(text));
}

std::string CheckMethodPath(std::string_view text) {
  if (text.starts_with('/') && IsMethod(text.substr(1))) return "";
  return fmt::format(R"({} is no method: write "/package.Service/Method")", Shown(text));
}

std::string CheckCall(std::string_view text) {
  const size_t slash = text.find('/');
  if (slash != std::string_view::npos && CheckName(text.substr(0, slash)).empty()) {
    const auto method = text.substr(slash + 1);
    const bool whole_service =
        method.ends_with("/*") && IsService(method.substr(0, method.size() - 2));
    if (method == "*" || whole_service || IsMethod(method)) return "";
  }
  return fmt::format(
      R"({} is no call: write "PLUGIN/*", "PLUGIN/package.Service/*" or "PLUGIN/package.Service/Method")",
      Shown(text));
}

std::string CheckCapability(std::string_view text) {
  const bool good = !text.empty() && text.size() <= kMaxCapabilityBytes &&
                    IsAlphanumeric(text.front()) && IsAlphanumeric(text.back()) &&
                    std::all_of(text.begin(), text.end(), [](char c) {
                      return IsAlphanumeric(c) || c == '-' || c == '_' || c == '.';
                    });
  if (good) return "";
  return fmt::format(
      "{} is no capability: 1 to {} letters, digits, \"-\", \"_\" and \".\", with a letter or "
      "digit "
      "at both ends",
      Shown(text), kMaxCapabilityBytes);
}

std::string CheckVersion(std::string_view text) {
  const size_t dot = text.find('.');
  if (dot != std::string_view::npos && IsNumber<uint32_t>(text.substr(0, dot), UINT32_MAX) &&
      IsNumber<uint32_t>(text.substr(dot + 1), UINT32_MAX)) {
    return "";
  }
  return fmt::format(R"({} is no version: write "MAJOR.MINOR", such as "1.0")", Shown(text));
}

std::string CheckEnvironmentName(std::string_view text) {
  if (auto error = CheckVariable(text); !error.empty()) return error;
  return IsReserved(text) ? fmt::format("plugind sets {} itself", Shown(text)) : "";
}

std::string CheckCookieName(std::string_view text) {
  return text == kDefaultCookie ? "" : CheckEnvironmentName(text);
}

std::string CheckListen(std::string_view text) {
  constexpr std::string_view kUnix = "unix:";
  if (text.empty()) return "";
  if (text.starts_with(kUnix)) {
    const size_t length = text.size() - kUnix.size();
    if (length == 0) return "\"unix:\" needs a path";
    if (length <= kMaxSocketPathBytes) return "";
    return fmt::format("the path of a Unix socket has at most {} bytes, not {}",
                       kMaxSocketPathBytes, length);
  }
  const size_t colon = text.rfind(':');
  if (colon != std::string_view::npos && colon > 0 &&
      IsNumber<uint16_t>(text.substr(colon + 1), UINT16_MAX)) {
    const auto host = text.substr(0, colon);
    const bool bracketed = host.size() > 2 && host.front() == '[' && host.back() == ']';
    const auto is_host_character = [&](char c) {
      return IsAlphanumeric(c) || c == '.' || c == '-' || (bracketed && (c == ':' || c == '%'));
    };
    const auto inner = bracketed ? host.substr(1, host.size() - 2) : host;
    if (IsLoopback(host)) return "";
    if (std::all_of(inner.begin(), inner.end(), is_host_character)) {
      return fmt::format(
          R"({} is not this machine alone: write 127.0.0.1, [::1] or localhost, or "unix:PATH")",
          Shown(text));
    }
  }
  return fmt::format(
      R"({} is no address: write "127.0.0.1:PORT", "[::1]:PORT", "unix:PATH", or "" for none)",
      Shown(text));
}

std::string CheckNotEmpty(std::string_view text) { return text.empty() ? "must not be empty" : ""; }

std::string CheckNothing(std::string_view) { return ""; }

}  // namespace plugind::config
