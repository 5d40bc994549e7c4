#include "daemon/rpc/dial.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <charconv>
#include <cstdlib>
#include <memory>
#include <string>

#include "daemon/base/process_tree.h"
#include "daemon/rpc/tcp_listener.h"

namespace plugind::rpc {
namespace {

using supervisor::Endpoint;

absl::Status Foreign(const std::string& why) { return absl::FailedPreconditionError(why); }

std::string_view FileKind(mode_t mode) {
  if (S_ISLNK(mode)) return "a symbolic link";
  if (S_ISFIFO(mode)) return "a FIFO";
  if (S_ISREG(mode)) return "a plain file";
  if (S_ISDIR(mode)) return "a directory";
  return "a device";
}

absl::Status CheckPath(const Endpoint& endpoint) {
  const std::string& path = endpoint.handshake.address;
  struct stat file {};
  if (::lstat(path.c_str(), &file) < 0)
    return Error(absl::StatusCode::kUnavailable, "there is nothing at {} yet", path);
  if (!S_ISSOCK(file.st_mode)) {
    return Foreign(fmt::format("the address {} is {}, not a socket", path, FileKind(file.st_mode)));
  }
  const std::unique_ptr<char, decltype(&std::free)> parent(
      ::realpath(path.substr(0, path.rfind('/')).c_str(), nullptr), &std::free);
  const std::string_view real = parent ? parent.get() : "";
  if (real != endpoint.directory && !real.starts_with(endpoint.directory + "/")) {
    return Foreign(fmt::format("the address {} leads out of the directory made for it", path));
  }
  return absl::OkStatus();
}

absl::Status CheckPeer(int fd, const Endpoint& endpoint) {
  ucred peer{};
  socklen_t size = sizeof peer;
  if (::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0) {
    return ErrnoError(errno, "cannot ask who listens at " + endpoint.handshake.address);
  }
  if (IsPartOf(peer.pid, endpoint.pid)) return absl::OkStatus();
  return Foreign(fmt::format("the process that listens at {} (pid {}) is none of this plugin's",
                             endpoint.handshake.address, peer.pid));
}

absl::StatusOr<UniqueFd> DialUnix(const Endpoint& endpoint) {
  RETURN_IF_ERROR(CheckPath(endpoint));
  const std::string& path = endpoint.handshake.address;
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(static_cast<char*>(address.sun_path), sizeof address.sun_path - 1);
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid()) return ErrnoError(errno, "cannot make a socket");
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) < 0) {
    const int error = errno;
    if (error == EPROTOTYPE)
      return Foreign(fmt::format("the socket {} is not a stream socket", path));
    return Error(absl::StatusCode::kUnavailable, "cannot connect to {}: {}", path,
                 std::strerror(error));
  }
  RETURN_IF_ERROR(CheckPeer(fd.get(), endpoint));
  return fd;
}

absl::StatusOr<UniqueFd> DialTcp(const Endpoint& endpoint) {
  const std::string& text = endpoint.handshake.address;
  const size_t colon = text.rfind(':');
  uint16_t port = 0;
  std::from_chars(text.data() + colon + 1, text.data() + text.size(), port);
  const bool six = text.front() == '[';
  sockaddr_in v4{};
  v4.sin_family = AF_INET;
  v4.sin_port = htons(port);
  v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  sockaddr_in6 v6{};
  v6.sin6_family = AF_INET6;
  v6.sin6_port = htons(port);
  v6.sin6_addr = in6addr_loopback;
  UniqueFd fd(::socket(six ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd.valid()) return ErrnoError(errno, "cannot make a socket");
  const auto* address =
      six ? reinterpret_cast<const sockaddr*>(&v6) : reinterpret_cast<const sockaddr*>(&v4);
  // The loopback answers at once, with a connection or a refusal; only a full backlog could make it
  // wait.
  const timeval patience{.tv_sec = 0, .tv_usec = 100'000};
  ::setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  if (::connect(fd.get(), address, six ? sizeof v6 : sizeof v4) < 0) {
    return Error(absl::StatusCode::kUnavailable, "cannot connect to {}: {}", text,
                 std::strerror(errno));
  }
  RETURN_IF_ERROR(CheckListener({six, port}, endpoint.pid));
  // A small message is not held back until the one before is acknowledged.
  const int at_once = 1;
  ::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &at_once, sizeof at_once);
  if (::fcntl(fd.get(), F_SETFL, O_NONBLOCK) < 0)
    return ErrnoError(errno, "cannot set a socket non-blocking");
  return fd;
}

}  // namespace

absl::StatusOr<UniqueFd> Dial(const Endpoint& endpoint) {
  switch (endpoint.handshake.network) {
    case supervisor::Network::kUnix:
      return DialUnix(endpoint);
    case supervisor::Network::kTcp:
      return DialTcp(endpoint);
  }
  return absl::InternalError("unknown network");
}

}  // namespace plugind::rpc
