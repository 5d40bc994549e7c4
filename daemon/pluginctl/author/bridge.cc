#include "daemon/pluginctl/author/bridge.h"

#include <sys/epoll.h>
#include <sys/socket.h>

#include <cerrno>
#include <span>
#include <utility>

namespace plugind::pluginctl {
namespace {

constexpr size_t kBuffer = 64 * 1024;

bool WouldBlock() { return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR; }

}  // namespace

Bridge::Bridge(EventLoop& loop, UniqueFd left, UniqueFd right, const tls::ClientPtr& right_tls,
               Ended ended)
    : loop_(loop), ended_(std::move(ended)) {
  sides_[0].fd = std::move(left);
  sides_[1].fd = std::move(right);
  if (right_tls != nullptr)
    sides_[1].tls = std::make_unique<tls::Session>(right_tls, sides_[1].fd.get());
  for (const size_t at : {0U, 1U}) Rewatch(at);
}

Bridge::~Bridge() {
  for (const Side& side : sides_) {
    if (side.events != 0) loop_.Unwatch(side.fd.get());
  }
}

void Bridge::Step() {
  auto& [left, right] = sides_;
  // To the right once more: TLS may have waited for what just came from there.
  if (!Pass(left, right) || !Pass(right, left) || !Send(right, left)) return End();
  if (left.write_ended && right.write_ended) return End();
  for (const size_t side : {0U, 1U}) Rewatch(side);
}

bool Bridge::Pass(Side& from, Side& to) {
  size_t came = 0;
  do {
    if (!Send(to, from) || !Receive(from, to)) return false;
    came = to.out.size();
    if (!Send(to, from)) return false;
    // A session that filled the buffer may hold more, of which no event will tell.
  } while (from.tls != nullptr && came == kBuffer && to.out.empty());
  return true;
}

// False: the connection is broken.
bool Bridge::Receive(Side& from, Side& to) {
  if (from.read_ended || !to.out.empty()) return true;
  to.out.resize(kBuffer);
  const ssize_t size = from.tls != nullptr ? from.tls->Receive(std::span(to.out))
                                           : recv(from.fd.get(), to.out.data(), to.out.size(), 0);
  to.out.resize(size > 0 ? static_cast<size_t>(size) : 0);
  if (size == 0) from.read_ended = true;
  return size >= 0 || WouldBlock();
}

bool Bridge::Send(Side& to, const Side& from) {
  if (!to.out.empty()) {
    const iovec piece{to.out.data(), to.out.size()};
    const ssize_t size = to.tls != nullptr
                             ? to.tls->Send(std::span(&piece, 1))
                             : send(to.fd.get(), to.out.data(), to.out.size(), MSG_NOSIGNAL);
    if (size < 0) return WouldBlock();
    to.out.erase(to.out.begin(), to.out.begin() + size);
  }
  if (to.tls != nullptr && to.tls->blocked() && !to.tls->Flush()) return WouldBlock();
  if (to.out.empty() && from.read_ended && !std::exchange(to.write_ended, true))
    shutdown(to.fd.get(), SHUT_WR);
  return true;
}

void Bridge::Rewatch(size_t at) {
  Side& side = sides_[at];
  uint32_t events = 0;
  if (!side.read_ended && sides_[1 - at].out.empty()) events |= EPOLLIN;
  // What TLS has not sealed waits for its handshake, and not for room.
  if (side.tls != nullptr ? side.tls->blocked() : !side.out.empty()) events |= EPOLLOUT;
  if (events == side.events) return;
  if (events == 0) {
    loop_.Unwatch(side.fd.get());
  } else {
    loop_.Watch(side.fd.get(), events, [this](uint32_t) { Step(); });
  }
  side.events = events;
}

std::string Bridge::Trouble(Side& side) {
  // Of an end that was handed on, TLS itself is not told, and may complain.
  if (side.tls == nullptr || side.write_ended) return "";
  // Who refuses us may have hung up before we had sent all; why, is still to be read.
  std::vector<char> rest(kBuffer);
  while (side.tls->trouble().empty() && side.tls->Receive(std::span(rest)) > 0) {
  }
  return side.tls->trouble();
}

void Bridge::End() {
  for (Side& side : sides_) {
    if (std::exchange(side.events, 0) != 0) loop_.Unwatch(side.fd.get());
  }
  if (!ended_) return;
  std::string trouble = Trouble(sides_[1]);
  loop_.Post(
      [ended = std::exchange(ended_, nullptr), trouble = std::move(trouble)] { ended(trouble); });
}

}  // namespace plugind::pluginctl
