#include "daemon/plugind/control_socket.h"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <chrono>
#include <memory>

namespace plugind {
namespace {

constexpr char kFdName[] = "plugind.sock";
constexpr int kBacklog = 512;  // what waits here while plugind is dead
constexpr int kAcceptsPerRound = 16;
// After EMFILE and the like: how long before the next try. The connection waits in the backlog.
constexpr Duration kAcceptPause = std::chrono::milliseconds(100);

sockaddr_un Address(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(static_cast<char*>(address.sun_path), sizeof address.sun_path - 1);
  return address;
}

// Whether the file is still there: somebody may have cleaned up. Only plugind's own user can have
// replaced it.
bool StillBound(const UniqueFd& listener, const std::string& path) {
  struct stat file {};
  int accepting = 0;
  socklen_t size = sizeof accepting;
  return listener.valid() && ::lstat(path.c_str(), &file) == 0 && S_ISSOCK(file.st_mode) &&
         ::getsockopt(listener.get(), SOL_SOCKET, SO_ACCEPTCONN, &accepting, &size) == 0 &&
         accepting != 0;
}

absl::StatusOr<UniqueFd> Bind(const std::string& path) {
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid()) return ErrnoError(errno, "cannot make a socket");
  // Nobody else's: the lock on the runtime directory is held.
  if (::unlink(path.c_str()) < 0 && errno != ENOENT)
    return ErrnoError(errno, "cannot remove the stale " + path);
  const sockaddr_un address = Address(path);
  const mode_t before = ::umask(0117);
  const int bound = ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
  const int error = errno;
  ::umask(before);
  if (bound < 0) return ErrnoError(error, "cannot bind " + path);
  if (::listen(fd.get(), kBacklog) < 0) return ErrnoError(errno, "cannot listen on " + path);
  return fd;
}

}  // namespace

absl::StatusOr<ControlSocket> ControlSocket::Open(const std::string& runtime_dir,
                                                  UniqueFd inherited, Keeper& keeper) {
  const std::string path = runtime_dir + "/plugind.sock";
  if (StillBound(inherited, path)) return ControlSocket(path, std::move(inherited));
  ASSIGN_OR_RETURN(UniqueFd listener, Bind(path));
  keeper.KeepFd(kFdName, listener);
  return ControlSocket(path, std::move(listener));
}

void ControlSocket::Listen(EventLoop& loop, OnConnection on_connection) {
  on_connection_ = std::move(on_connection);
  loop.Watch(listener_.get(), EPOLLIN, [this, &loop](uint32_t) { Accept(loop); });
}

void ControlSocket::Accept(EventLoop& loop) {
  for (int i = 0; i < kAcceptsPerRound; ++i) {
    UniqueFd connection(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!connection.valid()) {
      if (errno == EAGAIN || errno == ECONNABORTED || errno == EINTR) return;
      // Out of fds or memory: a listener that is watched would be reported again at once, and burn
      // a core.
      loop.Unwatch(listener_.get());
      loop.timers().At(loop.clock().Now() + kAcceptPause, [this, &loop] {
        loop.Watch(listener_.get(), EPOLLIN, [this, &loop](uint32_t) { Accept(loop); });
      });
      return;
    }
    ucred peer{};
    socklen_t size = sizeof peer;
    if (::getsockopt(connection.get(), SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0) continue;
    on_connection_(std::move(connection), peer.uid);
  }
}

void ControlSocket::Remove(EventLoop& loop) {
  loop.Unwatch(listener_.get());
  ::unlink(path_.c_str());
  listener_.reset();
}

}  // namespace plugind
