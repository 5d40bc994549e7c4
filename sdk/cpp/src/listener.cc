#include "sdk/cpp/src/listener.h"

#include <grp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <optional>
#include <random>
#include <vector>

#include "plugind/plugin.h"
#include "sdk/cpp/src/failure.h"

namespace plugind::sdk {
namespace {

constexpr int kBindAttempts = 16;
// While the process is out of fds or memory: doubles from the first to the second, in milliseconds.
constexpr int kFirstPause = 5;
constexpr int kLongestPause = 500;

sockaddr_un AddressOf(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof(address.sun_path)) {
    throw Failure("the socket's path is " + std::to_string(path.size()) +
                  " bytes long and may have " + std::to_string(sizeof(address.sun_path) - 1) +
                  ": " + path + " (PLUGIN_UNIX_SOCKET_DIR chooses a shorter directory)");
  }
  std::memcpy(address.sun_path, path.data(), path.size());
  return address;
}

std::string RandomName() {
  std::random_device device;
  return "plugin" + std::to_string(device());
}

gid_t GroupNumber(const std::string& group) {
  gid_t number = 0;
  const auto [end, error] = std::from_chars(group.data(), group.data() + group.size(), number);
  if (error == std::errc() && end == group.data() + group.size()) return number;
  std::vector<char> buffer(16 * 1024);
  struct group entry {};
  struct group* found = nullptr;
  int result = 0;
  while ((result = getgrnam_r(group.c_str(), &entry, buffer.data(), buffer.size(), &found)) ==
         ERANGE) {
    buffer.resize(buffer.size() * 2);
  }
  if (found == nullptr) throw Failure("PLUGIN_UNIX_SOCKET_GROUP names no group: " + group);
  return found->gr_gid;
}

// Errors of accept that concern one connection, and so are no reason to wait.
bool IsAboutOneConnection(int error) {
  return error == EINTR || error == ECONNABORTED || error == EPROTO || error == EPERM;
}

}  // namespace

UnixListener::UnixListener(const std::string& directory, const std::string& name,
                           const std::string& group) {
  wake_.Reset(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!wake_.valid()) throw ErrnoFailure(errno, "eventfd");
  Bind(directory, name);
  // From here on the file exists: a constructor that throws runs no destructor, so it is removed by
  // hand.
  try {
    if (!group.empty()) Grant(group);
    if (listen(socket_.get(), SOMAXCONN) != 0) throw ErrnoFailure(errno, "listen on " + path_);
  } catch (...) {
    Stop();
    throw;
  }
}

UnixListener::~UnixListener() { Stop(); }

void UnixListener::Bind(const std::string& directory, const std::string& name) {
  socket_.Reset(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket_.valid()) throw ErrnoFailure(errno, "socket");
  // On Linux bind gives the file the mode of the socket itself, so it is never open to others, even
  // for a moment.
  if (fchmod(socket_.get(), 0600) != 0) throw ErrnoFailure(errno, "fchmod of a socket");
  for (int attempt = 1;; ++attempt) {
    const std::string path = directory + "/" + (name.empty() ? RandomName() : name);
    const sockaddr_un address = AddressOf(path);
    if (bind(socket_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0) {
      path_ = path;
      break;
    }
    if (errno != EADDRINUSE || !name.empty() || attempt == kBindAttempts) {
      throw ErrnoFailure(errno, "bind " + path);
    }
  }
  struct stat file {};
  if (stat(path_.c_str(), &file) != 0) throw ErrnoFailure(errno, "stat " + path_);
  device_ = file.st_dev;
  inode_ = file.st_ino;
}

void UnixListener::Grant(const std::string& group) {
  if (chown(path_.c_str(), static_cast<uid_t>(-1), GroupNumber(group)) != 0) {
    throw ErrnoFailure(errno, "give " + path_ + " to the group " + group);
  }
  if (chmod(path_.c_str(), 0660) != 0) throw ErrnoFailure(errno, "chmod " + path_);
}

void UnixListener::Start(std::function<void(int fd)> handler) {
  handler_ = std::move(handler);
  thread_ = std::thread([this] { Run(); });
}

void UnixListener::Run() {
  int pause = 0;  // ms; 0: accepting
  pollfd watched[2] = {{wake_.get(), POLLIN, 0}, {socket_.get(), POLLIN, 0}};
  for (;;) {
    // During a pause only Stop is waited for: the listener is readable all the time and would make
    // this loop spin.
    const int ready = poll(watched, pause == 0 ? 2 : 1, pause == 0 ? -1 : pause);
    if (ready < 0 && errno != EINTR) {
      log(LogLevel::kError, "cannot wait for connections", {{"error", std::strerror(errno)}});
      return;
    }
    if (ready > 0 && watched[0].revents != 0) return;
    for (;;) {
      const int connection = accept4(socket_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
      if (connection >= 0) {
        pause = 0;
        handler_(connection);
        continue;
      }
      if (errno == EAGAIN) {
        pause = 0;
        break;
      }
      if (IsAboutOneConnection(errno)) continue;
      if (pause == 0) {
        log(LogLevel::kWarn, "cannot accept connections for now; they wait",
            {{"error", std::strerror(errno)}});
      }
      pause = pause == 0 ? kFirstPause : std::min(pause * 2, kLongestPause);
      break;
    }
  }
}

void UnixListener::Stop() {
  if (thread_.joinable()) {
    eventfd_write(wake_.get(), 1);
    thread_.join();
  }
  // Before the socket is closed: it holds the inode, whose number no other file can have until
  // then.
  struct stat file {};
  if (!path_.empty() && stat(path_.c_str(), &file) == 0 && file.st_dev == device_ &&
      file.st_ino == inode_) {
    unlink(path_.c_str());
  }
  path_.clear();
  socket_.Reset();
}

}  // namespace plugind::sdk
