#include "sdk/cpp/src/door.h"

#include <sys/un.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <stdexcept>
#include <string_view>

namespace plugind::sdk {
namespace {

constexpr std::string_view kScheme = "unix:";
constexpr size_t kMaxSocket = sizeof(sockaddr_un::sun_path) - 1;
constexpr size_t kMaxName = 48;  // as plugind's configuration has it

std::string Variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

// "unix:PATH", "unix:///PATH" or "PATH" as PATH.
std::string PathOf(const std::string& address) {
  if (address.rfind(kScheme, 0) != 0) return address;
  const std::string path = address.substr(kScheme.size());
  return path.rfind("///", 0) == 0 ? path.substr(2) : path;
}

std::string Checked(std::string socket) {
  if (socket.find('\0') != std::string::npos) {
    throw std::invalid_argument("the path of a socket has a NUL in it");
  }
  if (socket.size() > kMaxSocket) {
    throw std::invalid_argument("the path of a socket holds " + std::to_string(kMaxSocket) +
                                " bytes; this one has " + std::to_string(socket.size()) + ": " +
                                socket);
  }
  return socket;
}

bool IsEnd(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }

// For a message that may end in a log: bounded, and printable.
std::string Shown(const std::string& text) {
  std::string shown = text.substr(0, 2 * kMaxName);
  std::replace_if(
      shown.begin(), shown.end(), [](char c) { return c < 0x20 || c > 0x7e; }, '?');
  return "\"" + shown + "\"";
}

void CheckName(const std::string& plugin) {
  const auto allowed = [](char c) { return IsEnd(c) || c == '-' || c == '_' || c == '.'; };
  if (!plugin.empty() && plugin.size() <= kMaxName && IsEnd(plugin.front()) &&
      IsEnd(plugin.back()) && std::all_of(plugin.begin(), plugin.end(), allowed)) {
    return;
  }
  throw std::invalid_argument(
      Shown(plugin) + " is no plugin name: 1 to " + std::to_string(kMaxName) +
      " of a-z, 0-9, \"-\", \"_\" and \".\", with a letter or digit at both ends");
}

}  // namespace

Door FindDoor(uid_t user) {
  if (const std::string host = Variable("PLUGIND_HOST_ADDRESS"); !host.empty()) {
    const std::string path = PathOf(host);
    if (path == host || path.empty() || path.front() != '/') {
      throw std::invalid_argument("PLUGIND_HOST_ADDRESS is not unix:/PATH but " + host);
    }
    return Door{Checked(path), true};
  }
  if (const std::string socket = Variable("PLUGIND_SOCKET"); !socket.empty()) {
    return FrontDoor(socket);
  }
  if (user == 0) return FrontDoor("/run/plugind/plugind.sock");
  std::string runtime = Variable("XDG_RUNTIME_DIR");
  if (runtime.empty()) runtime = "/run/user/" + std::to_string(user);
  return FrontDoor(runtime + "/plugind/plugind.sock");
}

Door FrontDoor(const std::string& socket) {
  const std::string path = PathOf(socket);
  if (path.empty()) throw std::invalid_argument("the path of plugind's socket is empty");
  return Door{Checked(std::filesystem::absolute(path).string()), false};
}

std::string SocketFor(const Door& door, const std::string& plugin) {
  CheckName(plugin);
  if (door.is_host) return door.socket;
  const std::filesystem::path runtime = std::filesystem::path(door.socket).parent_path();
  return Checked((runtime / "plugins" / (plugin + ".sock")).string());
}

std::string TargetOf(const std::string& socket) {
  // A URI to gRPC: "%" and "?" in the path would be read as something else.
  static constexpr std::string_view kPlain = "/._-~";
  static constexpr char kHex[] = "0123456789ABCDEF";
  std::string target(kScheme);
  for (const char c : socket) {
    const auto byte = static_cast<unsigned char>(c);
    const bool plain =
        IsEnd(c) || (c >= 'A' && c <= 'Z') || kPlain.find(c) != std::string_view::npos;
    if (plain) {
      target += c;
    } else {
      target += {'%', kHex[byte >> 4], kHex[byte & 15]};
    }
  }
  return target;
}

}  // namespace plugind::sdk
