#include "daemon/pluginctl/author/bridge.h"

#include <sys/epoll.h>
#include <sys/socket.h>

#include <cerrno>
#include <utility>

namespace plugind::pluginctl {
namespace {

constexpr size_t kBuffer = 64 * 1024;

bool WouldBlock() { return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR; }

}  // namespace

Bridge::Bridge(EventLoop& loop, UniqueFd left, UniqueFd right, std::function<void()> ended)
    : loop_(loop), ended_(std::move(ended)) {
  sides_[0].fd = std::move(left);
  sides_[1].fd = std::move(right);
  for (const size_t at : {0U, 1U}) Rewatch(at);
}

Bridge::~Bridge() {
  for (const Side& side : sides_) {
    if (side.events != 0) loop_.Unwatch(side.fd.get());
  }
}

void Bridge::Step(size_t at) {
  Side& here = sides_[at];
  Side& there = sides_[1 - at];
  if (!Send(here, there) || !Receive(here, there) || !Send(there, here)) return End();
  if (here.write_ended && there.write_ended) return End();
  for (const size_t side : {0U, 1U}) Rewatch(side);
}

// False: the connection is broken.
bool Bridge::Receive(Side& from, Side& to) {
  if (from.read_ended || !to.out.empty()) return true;
  to.out.resize(kBuffer);
  const ssize_t size = recv(from.fd.get(), to.out.data(), to.out.size(), 0);
  to.out.resize(size > 0 ? static_cast<size_t>(size) : 0);
  if (size == 0) from.read_ended = true;
  return size >= 0 || WouldBlock();
}

bool Bridge::Send(Side& to, const Side& from) {
  if (!to.out.empty()) {
    const ssize_t size = send(to.fd.get(), to.out.data(), to.out.size(), MSG_NOSIGNAL);
    if (size < 0) return WouldBlock();
    to.out.erase(to.out.begin(), to.out.begin() + size);
  }
  if (to.out.empty() && from.read_ended && !std::exchange(to.write_ended, true))
    shutdown(to.fd.get(), SHUT_WR);
  return true;
}

void Bridge::Rewatch(size_t at) {
  Side& side = sides_[at];
  uint32_t events = 0;
  if (!side.read_ended && sides_[1 - at].out.empty()) events |= EPOLLIN;
  if (!side.out.empty()) events |= EPOLLOUT;
  if (events == side.events) return;
  if (events == 0) {
    loop_.Unwatch(side.fd.get());
  } else {
    loop_.Watch(side.fd.get(), events, [this, at](uint32_t) { Step(at); });
  }
  side.events = events;
}

void Bridge::End() {
  for (Side& side : sides_) {
    if (std::exchange(side.events, 0) != 0) loop_.Unwatch(side.fd.get());
  }
  if (ended_) loop_.Post(std::exchange(ended_, nullptr));
}

}  // namespace plugind::pluginctl
