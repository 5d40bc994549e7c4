#include "daemon/plugind/service_manager.h"

#include <sys/socket.h>
#include <sys/un.h>

#include <charconv>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

namespace plugind {

ServiceManager::ServiceManager(EventLoop& loop) : loop_(loop), next_pat_(loop.timers()) {
  const char* const path = std::getenv("NOTIFY_SOCKET");
  if (path == nullptr || (path[0] != '/' && path[0] != '@')) return;
  address_ = path;
  if (address_.size() >= sizeof(sockaddr_un::sun_path)) return;
  if (address_[0] == '@') address_[0] = '\0';
  socket_ = UniqueFd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));

  const char* const usec = std::getenv("WATCHDOG_USEC");
  if (usec == nullptr) return;
  uint64_t value = 0;
  const std::string_view text = usec;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error == std::errc() && end == text.data() + text.size() && value > 0) {
    watchdog_ = std::chrono::microseconds(value / 2);
  }
}

void ServiceManager::Send(const std::string& message) {
  if (!socket_.valid()) return;
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  address_.copy(static_cast<char*>(address.sun_path), sizeof address.sun_path - 1);
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + address_.size());
  // A service manager that does not listen is its own concern.
  (void)::sendto(socket_.get(), message.data(), message.size(), MSG_NOSIGNAL,
                 reinterpret_cast<const sockaddr*>(&address), size);
}

void ServiceManager::Ready() { Send("READY=1"); }
void ServiceManager::Reloading() {
  const auto now =
      std::chrono::duration_cast<std::chrono::microseconds>(loop_.clock().Now().time_since_epoch());
  Send("RELOADING=1\nMONOTONIC_USEC=" + std::to_string(now.count()));
}
void ServiceManager::Stopping() { Send("STOPPING=1"); }

void ServiceManager::Status(const std::string& text) {
  if (text == status_) return;
  status_ = text;
  Send("STATUS=" + text);
}

void ServiceManager::StartWatchdog() {
  if (watchdog_) Pat();
}

void ServiceManager::Pat() {
  Send("WATCHDOG=1");
  next_pat_.Set(loop_.clock().Now() + *watchdog_, [this] { Pat(); });
}

}  // namespace plugind
