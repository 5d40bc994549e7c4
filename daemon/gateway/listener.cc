#include "daemon/gateway/listener.h"

#include <sys/socket.h>

#include <cerrno>

#include "daemon/base/process_tree.h"
#include "daemon/gateway/caller_connection.h"

namespace plugind::gateway {
namespace {

constexpr int kAcceptsPerRound = 64;
// After EMFILE and the like: how long before the next try. Who connects waits in the backlog.
constexpr Duration kAcceptPause = std::chrono::milliseconds(100);

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

void Listener::Accept(UniqueFd connection) {
  std::optional<Caller> caller = Identify(connection.get());
  if (!caller) return;
  // A plugin is that plugin on every socket: one that runs under plugind's own uid must not gain
  // its rights by knocking at another door.
  const auto& processes = worker_.routes().processes;
  const int main_pid = FindAmongKin(caller->pid, [&](int pid) { return processes.contains(pid); });
  const std::string plugin = main_pid == 0 ? "" : processes.at(main_pid);
  if (door_->kind == Door::Kind::kHost && plugin != door_->plugin) {
    if (worker_.shared().told.denied) {
      worker_.shared().told.denied(Denied{
          plugin.empty() ? caller->name : "plugin:" + plugin, caller->pid, door_->plugin, "",
          "process " + std::to_string(caller->pid) + " connected to the host socket of plugin " +
              door_->plugin + ", of which it is no part"});
    }
    return;
  }
  if (!plugin.empty()) caller = Caller::Plugin(plugin, caller->uid, caller->pid);
  const std::string name = caller->name;
  if (!worker_.shared().census.Enter(name)) return;
  if (CallerConnection::Open(worker_, std::move(connection), std::move(*caller), door_, true) ==
      nullptr) {
    worker_.shared().census.Leave(name);
  }
}

}  // namespace plugind::gateway
