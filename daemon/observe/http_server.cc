#include "daemon/observe/http_server.h"

#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>

namespace plugind::observe {
namespace {

constexpr size_t kWriteAtOnce = size_t{1} << 20;  // then others of the loop have their turn
// What a client still sends after its answer is taken off the socket: a socket that is closed with
// bytes unread resets the connection, and the answer may be lost.
constexpr size_t kMaxLinger = size_t{256} * 1024;
constexpr Duration kAcceptAgain = std::chrono::seconds(1);

std::string_view Phrase(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 400:
      return "Bad Request";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 431:
      return "Request Header Fields Too Large";
    case 503:
      return "Service Unavailable";
    case 505:
      return "HTTP Version Not Supported";
    default:
      return "Unknown";
  }
}

bool Passing(int error) { return error == EAGAIN || error == EWOULDBLOCK || error == EINTR; }

}  // namespace

struct HttpServer::Connection {
  Connection(UniqueFd fd_, TimerQueue& timers) : fd(std::move(fd_)), deadline(timers) {}

  const UniqueFd fd;
  std::string in;
  std::string head;  // of the response
  std::shared_ptr<const std::string> body;
  size_t sent = 0;  // of head and body together
  size_t lingered = 0;
  Deadline deadline;
};

HttpResponse PlainText(int status, std::string text) {
  return {.status = status, .body = std::make_shared<const std::string>(std::move(text))};
}

HttpServer::HttpServer(EventLoop& loop, UniqueFd listener, Handler handler)
    : loop_(loop),
      listener_(std::move(listener)),
      handler_(std::move(handler)),
      retry_(loop.timers()) {
  SetAccepting(true);
}

HttpServer::~HttpServer() {
  SetAccepting(false);
  for (const auto& [fd, connection] : connections_) loop_.Unwatch(fd);
}

void HttpServer::SetAccepting(bool accepting) {
  if (accepting_ == accepting) return;
  accepting_ = accepting;
  retry_.Clear();
  if (accepting) {
    loop_.Watch(listener_.get(), EPOLLIN, [this](uint32_t) { Accept(); });
  } else {
    loop_.Unwatch(listener_.get());
  }
}

void HttpServer::Accept() {
  UniqueFd fd(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (!fd.valid()) {
    if (Passing(errno) || errno == ECONNABORTED) return;
    // No fd, no memory: the one who waits stays ready to be accepted, so looking again at once
    // would go on for ever.
    SetAccepting(false);
    retry_.Set(loop_.clock().Now() + kAcceptAgain, [this] { SetAccepting(true); });
    return;
  }
  const int number = fd.get();
  auto made = std::make_unique<Connection>(std::move(fd), loop_.timers());
  Connection& connection = *made;
  connections_.emplace(number, std::move(made));
  connection.deadline.Set(loop_.clock().Now() + kPatience,
                          [this, &connection] { Close(connection); });
  loop_.Watch(number, EPOLLIN, [this, &connection](uint32_t) { OnReadable(connection); });
  if (connections_.size() >= kMaxConnections) SetAccepting(false);
}

void HttpServer::OnReadable(Connection& connection) {
  std::array<char, kMaxHttpHead> buffer;
  const ssize_t got =
      ::recv(connection.fd.get(), buffer.data(), kMaxHttpHead - connection.in.size(), 0);
  if (got < 0 && Passing(errno)) return;
  if (got <= 0) return Close(connection);
  connection.in.append(buffer.data(), static_cast<size_t>(got));
  const ParsedHttp parsed = ParseHttpHead(connection.in);
  switch (parsed.result) {
    case ParsedHttp::Result::kIncomplete:
      return;
    case ParsedHttp::Result::kMalformed:
      return Respond(connection, PlainText(400, "this is no HTTP/1 request\n"), true);
    case ParsedHttp::Result::kTooLarge:
      return Respond(connection, PlainText(431, "the request's head has more than 8 KiB\n"), true);
    case ParsedHttp::Result::kOtherVersion:
      return Respond(connection, PlainText(505, "HTTP/1.0 and HTTP/1.1 are spoken here\n"), true);
    case ParsedHttp::Result::kComplete:
      break;
  }
  const bool head = parsed.request.method == "HEAD";
  if (!head && parsed.request.method != "GET")
    return Respond(connection, PlainText(405, "only GET and HEAD\n"), true);
  Respond(connection, handler_(parsed.request), !head);
}

void HttpServer::Respond(Connection& connection, const HttpResponse& response, bool with_body) {
  connection.head = "HTTP/1.1 " + std::to_string(response.status) + " ";
  connection.head.append(Phrase(response.status))
      .append("\r\nContent-Type: ")
      .append(response.content_type)
      .append("\r\nContent-Length: ")
      .append(std::to_string(response.body->size()))
      .append("\r\nCache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n")
      .append(response.status == 405 ? "Allow: GET, HEAD\r\n" : "")
      .append("Connection: close\r\n\r\n");
  if (with_body) connection.body = response.body;
  connection.in = std::string();
  connection.deadline.Set(loop_.clock().Now() + kPatience,
                          [this, &connection] { Close(connection); });
  loop_.Watch(connection.fd.get(), EPOLLOUT,
              [this, &connection](uint32_t) { OnWritable(connection); });
}

void HttpServer::OnWritable(Connection& connection) {
  const size_t head = connection.head.size();
  const size_t all = head + (connection.body != nullptr ? connection.body->size() : 0);
  const std::string_view rest =
      connection.sent < head ? std::string_view(connection.head).substr(connection.sent)
                             : std::string_view(*connection.body).substr(connection.sent - head);
  const bool more = connection.sent + rest.size() < all;
  const ssize_t sent = ::send(connection.fd.get(), rest.data(), std::min(rest.size(), kWriteAtOnce),
                              MSG_NOSIGNAL | (more ? MSG_MORE : 0));
  if (sent < 0 && Passing(errno)) return;
  if (sent < 0) return Close(connection);
  connection.sent += static_cast<size_t>(sent);
  if (connection.sent < all) return;
  connection.body.reset();
  ::shutdown(connection.fd.get(), SHUT_WR);
  loop_.Watch(connection.fd.get(), EPOLLIN,
              [this, &connection](uint32_t) { OnLingering(connection); });
}

void HttpServer::OnLingering(Connection& connection) {
  std::array<char, 16 * 1024> ignored;
  const ssize_t got = ::recv(connection.fd.get(), ignored.data(), ignored.size(), 0);
  if (got < 0 && Passing(errno)) return;
  if (got > 0) connection.lingered += static_cast<size_t>(got);
  if (got <= 0 || connection.lingered > kMaxLinger) Close(connection);
}

void HttpServer::Close(Connection& connection) {
  const int fd = connection.fd.get();
  loop_.Unwatch(fd);
  // Last: what this runs in may be the connection's own timer or watch, which hold their callbacks
  // until they return.
  connections_.erase(fd);
  if (connections_.size() < kMaxConnections && !retry_.armed()) SetAccepting(true);
}

}  // namespace plugind::observe
