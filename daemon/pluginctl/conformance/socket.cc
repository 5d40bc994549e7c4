#include "daemon/pluginctl/conformance/socket.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

namespace plugind::pluginctl::conformance {
namespace {

constexpr timeval kPatience = {1, 0};

Connected Open(const sockaddr* address, socklen_t size) {
  Connected made;
  made.fd.reset(socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!made.fd.valid()) {
    made.error = errno;
    return made;
  }
  // Also bounds connect() where the backlog is full.
  setsockopt(made.fd.get(), SOL_SOCKET, SO_SNDTIMEO, &kPatience, sizeof(kPatience));
  if (connect(made.fd.get(), address, size) != 0) made.error = errno;
  return made;
}

}  // namespace

Connected Connect(const Handshake& handshake) {
  const std::string address(handshake.field(kAddress));
  if (handshake.field(kNetwork) == "unix") {
    sockaddr_un path{};
    path.sun_family = AF_UNIX;
    if (address.size() >= sizeof(path.sun_path)) return {.fd = {}, .error = ENAMETOOLONG};
    std::memcpy(path.sun_path, address.data(), address.size());
    return Open(reinterpret_cast<const sockaddr*>(&path), sizeof(path));  // NOLINT: its interface
  }
  const size_t colon = address.rfind(':');
  const auto port =
      colon == std::string::npos ? std::nullopt : ParseNumber(address.substr(colon + 1));
  if (!port) return {.fd = {}, .error = EINVAL};
  const uint16_t network_port = htons(static_cast<uint16_t>(*port));
  if (address.starts_with('[')) {
    sockaddr_in6 six{};
    six.sin6_family = AF_INET6;
    six.sin6_port = network_port;
    six.sin6_addr = in6addr_loopback;
    return Open(reinterpret_cast<const sockaddr*>(&six), sizeof(six));  // NOLINT
  }
  sockaddr_in four{};
  four.sin_family = AF_INET;
  four.sin_port = network_port;
  four.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return Open(reinterpret_cast<const sockaddr*>(&four), sizeof(four));  // NOLINT
}

void SendSome(const UniqueFd& fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = send(fd.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return;
    bytes.remove_prefix(static_cast<size_t>(sent));
  }
}

bool AwaitClose(const UniqueFd& fd, Deadline deadline) {
  std::array<char, 4096> buffer{};
  while (true) {
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    if (left.count() <= 0) return false;
    pollfd readable{fd.get(), POLLIN, 0};
    if (poll(&readable, 1, static_cast<int>(left.count())) <= 0) continue;
    if (read(fd.get(), buffer.data(), buffer.size()) <= 0) return true;
  }
}

}  // namespace plugind::pluginctl::conformance
