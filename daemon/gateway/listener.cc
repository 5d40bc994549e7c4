#include "daemon/gateway/listener.h"

#include <poll.h>
#include <sys/socket.h>

#include <cerrno>

#include "daemon/base/process_tree.h"
#include "daemon/gateway/caller_connection.h"

namespace plugind::gateway {
namespace {

// Each asks the kernel for the caller's ancestors, and calls wait meanwhile.
constexpr int kAcceptsPerRound = 4;
// After EMFILE and the like: how long before the next try. Who connects waits in the backlog.
constexpr Duration kAcceptPause = std::chrono::milliseconds(100);

#ifndef SO_PEERPIDFD
constexpr int SO_PEERPIDFD = 77;
#endif

bool IsReady(int fd, short events) {
  pollfd one = {fd, events, 0};
  return ::poll(&one, 1, 0) == 1;
}

// Nobody waits for an answer.
bool HasHungUp(int connection) { return IsReady(connection, POLLRDHUP); }

// The process that connected, not merely its number. Linux ≥ 6.5; an older one leaves the rare case
// that the number is somebody else's by now.
class PeerProcess {
 public:
  explicit PeerProcess(int connection) {
    int fd = -1;
    socklen_t size = sizeof fd;
    if (::getsockopt(connection, SOL_SOCKET, SO_PEERPIDFD, &fd, &size) == 0) {
      pidfd_ = UniqueFd(fd);
    } else {
      unknown_ = errno != ENOPROTOOPT;  // reaped already, or no fd
    }
  }
  bool MayHaveEnded() const {
    return unknown_ || (pidfd_.valid() && IsReady(pidfd_.get(), POLLIN));
  }

 private:
  UniqueFd pidfd_;
  bool unknown_ = false;
};

}  // namespace

Listener::Listener(Worker& worker, UniqueFd listening, std::shared_ptr<const Door> door)
    : worker_(worker),
      listening_(std::move(listening)),
      door_(std::move(door)),
      pause_(worker.timers()) {
  Watch();
}

Listener::~Listener() {
  if (!pause_.armed()) worker_.Unwatch(listening_.get());
}

void Listener::Watch() {
  if (!worker_.Watch(listening_.get(), EPOLLIN | EPOLLEXCLUSIVE, *this)) {
    pause_.Set(worker_.Now() + kAcceptPause, [this] { Watch(); });
  }
}

void Listener::OnReady(uint32_t) {
  for (int i = 0; i < kAcceptsPerRound; ++i) {
    UniqueFd connection(
        ::accept4(listening_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (connection.valid()) {
      Accept(std::move(connection));
    } else if (errno == EAGAIN) {
      return;
    } else if (errno != ECONNABORTED && errno != EINTR) {
      // Out of fds or memory: it would be reported again at once, and burn a core.
      worker_.Unwatch(listening_.get());
      pause_.Set(worker_.Now() + kAcceptPause, [this] { Watch(); });
      return;
    }
  }
}

void Listener::TellDenied(const Caller& caller, const std::string& why) {
  if (!worker_.shared().told.denied) return;
  worker_.shared().told.denied(Denied{caller.name, caller.pid, door_->plugin, "",
                                      "process " + std::to_string(caller.pid) + " " + why});
}

void Listener::Accept(UniqueFd connection) {
  std::optional<Caller> caller = Identify(connection.get());
  if (!caller) return;
  // A plugin is that plugin on every socket: one that runs under plugind's own uid must not gain
  // its rights by knocking at another door.
  const RouteTable& routes = worker_.routes();
  const PeerProcess process(connection.get());
  const std::optional<int> kin = FindAmongKin(
      caller->pid, [&](int pid) { return routes.processes.contains(pid) || pid == routes.keeper; });
  // One that is gone may have been a plugin's, and its number may be another's.
  if (!kin || process.MayHaveEnded()) {
    if (!HasHungUp(connection.get())) {
      TellDenied(*caller, "connected, but it can no longer be told whose it is");
    }
    return;
  }
  if (*kin != 0) {
    const auto plugin = routes.processes.find(*kin);
    caller = Caller::Plugin(plugin == routes.processes.end() ? "?" : plugin->second, caller->uid,
                            caller->pid);
  }
  if (door_->kind == Door::Kind::kHost && caller->plugin != door_->plugin) {
    TellDenied(*caller, "connected to the host socket of plugin " + door_->plugin +
                            ", of which it is no part");
    return;
  }
  const std::string name = caller->name;
  if (!worker_.shared().census.Enter(name)) return;
  CallerConnection::Open(worker_, std::move(connection), std::move(*caller), door_, true);
}

}  // namespace plugind::gateway
