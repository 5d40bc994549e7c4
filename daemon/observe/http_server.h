// A small HTTP/1.1 server for a few pages: GET and HEAD, one request a connection, everything
// bounded. Its handler answers at once; whoever reads slowly holds up nobody.
//
// Owned by main; on its loop only. Its destruction closes every connection.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "daemon/base/event_loop.h"
#include "daemon/base/timer_queue.h"
#include "daemon/base/unique_fd.h"
#include "daemon/observe/http_request.h"

namespace plugind::observe {

struct HttpResponse {
  int status = 200;
  std::string content_type = "text/plain; charset=utf-8";
  std::shared_ptr<const std::string> body;  // shared: a page may go to several who ask
};
HttpResponse PlainText(int status, std::string text);

class HttpServer {
 public:
  // More wait in the listener's backlog.
  static constexpr size_t kMaxConnections = 32;
  // For the request to be complete, and again for the response to be taken.
  static constexpr Duration kPatience = std::chrono::seconds(5);

  using Handler = std::function<HttpResponse(const HttpRequest&)>;
  // `listener`: listening, non-blocking. The handler sees GET and HEAD only, whose answers differ
  // by the body alone.
  HttpServer(EventLoop& loop, UniqueFd listener, Handler handler);
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;
  ~HttpServer();

 private:
  struct Connection;

  void SetAccepting(bool accepting);
  void Accept();
  void OnReadable(Connection& connection);
  void Respond(Connection& connection, const HttpResponse& response, bool with_body);
  void OnWritable(Connection& connection);
  void OnLingering(Connection& connection);
  void Close(Connection& connection);

  EventLoop& loop_;
  const UniqueFd listener_;
  const Handler handler_;
  bool accepting_ = false;
  std::map<int, std::unique_ptr<Connection>> connections_;  // by fd
  Deadline retry_;                                          // of accept, when there was no fd
};

}  // namespace plugind::observe
