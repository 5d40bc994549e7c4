#include "daemon/plugind/listening_socket.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

namespace plugind {
namespace {

constexpr int kBacklog = 512;  // what waits here while plugind is dead

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
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) {
    return Error(absl::StatusCode::kFailedPrecondition,
                 "the path {} is too long for a socket: {} bytes of at most {}", path, path.size(),
                 sizeof address.sun_path - 1);
  }
  path.copy(static_cast<char*>(address.sun_path), sizeof address.sun_path - 1);
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid()) return ErrnoError(errno, "cannot make a socket");
  if (::unlink(path.c_str()) < 0 && errno != ENOENT)
    return ErrnoError(errno, "cannot remove the stale " + path);
  const mode_t before = ::umask(0111);
  const int bound = ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
  const int error = errno;
  ::umask(before);
  if (bound < 0) return ErrnoError(error, "cannot bind " + path);
  if (::listen(fd.get(), kBacklog) < 0) return ErrnoError(errno, "cannot listen on " + path);
  return fd;
}

}  // namespace

absl::StatusOr<ListeningSocket> ListeningSocket::Open(std::string path, std::string name,
                                                      UniqueFd inherited, Keeper& keeper) {
  if (StillBound(inherited, path)) {
    return ListeningSocket(std::move(path), std::move(name), std::move(inherited));
  }
  ASSIGN_OR_RETURN(UniqueFd fd, Bind(path));
  keeper.KeepFd(name, fd);
  return ListeningSocket(std::move(path), std::move(name), std::move(fd));
}

void ListeningSocket::Remove(Keeper& keeper) {
  if (!fd_.valid()) return;
  ::unlink(path_.c_str());
  keeper.DropFd(name_);
  fd_.reset();
}

}  // namespace plugind
