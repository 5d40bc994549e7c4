#include "daemon/plugind/http_listener.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <charconv>

namespace plugind {
namespace {

constexpr std::string_view kUnix = "unix:";
constexpr int kBacklog = 64;

// Whether nobody listens on the socket at `path` any more.
bool IsStale(const sockaddr_un& address) {
  struct stat file {};
  if (::lstat(address.sun_path, &file) < 0 || !S_ISSOCK(file.st_mode)) return false;
  const UniqueFd probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  return probe.valid() &&
         ::connect(probe.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) < 0 &&
         errno == ECONNREFUSED;
}

absl::StatusOr<HttpListener> ListenUnix(const std::string& address) {
  const std::string path = address.substr(kUnix.size());
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  if (path.size() >= sizeof name.sun_path)
    return Error(absl::StatusCode::kInvalidArgument, "the path {} is too long for a socket", path);
  path.copy(static_cast<char*>(name.sun_path), sizeof name.sun_path - 1);
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid()) return ErrnoError(errno, "cannot make a socket");
  if (IsStale(name)) ::unlink(path.c_str());
  const mode_t before = ::umask(0111);
  const int bound = ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&name), sizeof name);
  const int error = errno;
  ::umask(before);
  if (bound < 0) return ErrnoError(error, "cannot bind " + address);
  if (::listen(fd.get(), kBacklog) < 0) return ErrnoError(errno, "cannot listen on " + address);
  return HttpListener{std::move(fd), address, path};
}

absl::StatusOr<HttpListener> ListenTcp(const std::string& address) {
  const size_t colon = address.rfind(':');
  const std::string host = address.substr(0, colon);
  uint16_t port = 0;
  std::from_chars(address.data() + colon + 1, address.data() + address.size(), port);
  const bool six = host == "[::1]";
  sockaddr_in6 v6{};
  v6.sin6_family = AF_INET6;
  v6.sin6_addr = in6addr_loopback;
  v6.sin6_port = htons(port);
  sockaddr_in v4{};
  v4.sin_family = AF_INET;
  v4.sin_port = htons(port);
  ::inet_pton(AF_INET, host == "localhost" ? "127.0.0.1" : host.c_str(), &v4.sin_addr);

  UniqueFd fd(::socket(six ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid()) return ErrnoError(errno, "cannot make a socket for " + address);
  // Connections of an earlier plugind that still fade away do not keep the port from a successor.
  const int yes = 1;
  ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  auto* const name = six ? reinterpret_cast<sockaddr*>(&v6) : reinterpret_cast<sockaddr*>(&v4);
  socklen_t size = six ? sizeof v6 : sizeof v4;
  if (::bind(fd.get(), name, size) < 0) return ErrnoError(errno, "cannot bind " + address);
  if (::listen(fd.get(), kBacklog) < 0) return ErrnoError(errno, "cannot listen on " + address);
  ::getsockname(fd.get(), name, &size);
  const uint16_t chosen = ntohs(six ? v6.sin6_port : v4.sin_port);
  return HttpListener{std::move(fd), host + ":" + std::to_string(chosen), ""};
}

}  // namespace

absl::StatusOr<HttpListener> ListenHttp(const std::string& address) {
  return address.starts_with(kUnix) ? ListenUnix(address) : ListenTcp(address);
}

}  // namespace plugind
