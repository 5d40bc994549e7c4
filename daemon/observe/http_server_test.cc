#include "daemon/observe/http_server.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <cstring>
#include <vector>

namespace plugind::observe {
namespace {

using std::chrono::milliseconds;
using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr char kGet[] = "GET /page HTTP/1.1\r\nHost: here\r\n\r\n";

// On one thread: what a client sends is in the socket when it returns, and the loop's rounds are
// run until it has its answer. Time is the test's.
class HttpServerTest : public ::testing::Test {
 protected:
  HttpServerTest() {
    UniqueFd listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    address_.sin_family = AF_INET;
    address_.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::bind(listener.get(), Address(), sizeof address_), 0);
    EXPECT_EQ(::listen(listener.get(), 100), 0);
    socklen_t size = sizeof address_;
    ::getsockname(listener.get(), reinterpret_cast<sockaddr*>(&address_), &size);
    server_ = std::make_unique<HttpServer>(
        loop_, std::move(listener), [this](const HttpRequest& request) {
          seen_.push_back(request.method + " " + request.path + " " + request.query);
          return response_;
        });
  }

  const sockaddr* Address() const { return reinterpret_cast<const sockaddr*>(&address_); }

  UniqueFd Connect() const {
    UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    EXPECT_EQ(::connect(fd.get(), Address(), sizeof address_), 0) << std::strerror(errno);
    return fd;
  }
  static void Send(const UniqueFd& client, std::string_view bytes) {
    EXPECT_EQ(::send(client.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(bytes.size()));
  }
  void Rounds(int count = 10) {
    for (int i = 0; i < count; ++i) loop_.RunOnce(Duration::zero());
  }
  // Until the server closes.
  std::string Receive(const UniqueFd& client) {
    std::string all;
    for (int idle = 0; idle < 1000;) {
      char buffer[65536];
      const ssize_t got = ::recv(client.get(), buffer, sizeof buffer, MSG_DONTWAIT);
      if (got == 0) return all;
      if (got > 0) {
        all.append(buffer, static_cast<size_t>(got));
        idle = 0;
      } else if (errno == EAGAIN) {
        loop_.RunOnce(milliseconds(1));
        ++idle;
      } else {
        return all + "<" + std::strerror(errno) + ">";
      }
    }
    return all + "<open>";
  }
  bool IsOpen(const UniqueFd& client) {
    Rounds();
    char byte = 0;
    return ::recv(client.get(), &byte, 1, MSG_DONTWAIT | MSG_PEEK) < 0 && errno == EAGAIN;
  }
  std::string Ask(std::string_view request) {
    const UniqueFd client = Connect();
    Send(client, request);
    return Receive(client);
  }

  FakeClock clock_;
  EventLoop loop_{clock_};
  sockaddr_in address_{};
  std::vector<std::string> seen_;
  HttpResponse response_ = PlainText(200, "a page\n");
  std::unique_ptr<HttpServer> server_;
};

TEST_F(HttpServerTest, AnswersAGetWithItsPageAndCloses) {
  EXPECT_EQ(Ask(kGet),
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 7\r\n"
            "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n"
            "Connection: close\r\n\r\na page\n");
  EXPECT_THAT(seen_, ::testing::ElementsAre("GET /page "));
}

TEST_F(HttpServerTest, AnswersAHeadWithTheSameHeadAlone) {
  const std::string get = Ask(kGet);
  EXPECT_EQ(Ask("HEAD /page HTTP/1.1\r\nHost: here\r\n\r\n"), get.substr(0, get.size() - 7));
}

TEST_F(HttpServerTest, TellsWhatIsWrongWithARequest) {
  response_ = PlainText(404, "");
  EXPECT_THAT(Ask(kGet), StartsWith("HTTP/1.1 404 Not Found\r\n"));
  EXPECT_THAT(Ask("nonsense\r\n\r\n"), StartsWith("HTTP/1.1 400 Bad Request\r\n"));
  EXPECT_THAT(Ask(std::string(kMaxHttpHead + 5000, 'a')),
              StartsWith("HTTP/1.1 431 Request Header Fields Too Large\r\n"));
  EXPECT_THAT(Ask("GET / HTTP/3.0\r\n\r\n"), StartsWith("HTTP/1.1 505 "));
  const std::string post = Ask("POST /page HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc");
  EXPECT_THAT(post, StartsWith("HTTP/1.1 405 Method Not Allowed\r\n"));
  EXPECT_THAT(post, HasSubstr("\r\nAllow: GET, HEAD\r\n"));
  EXPECT_EQ(seen_.size(), 1u);
}

TEST_F(HttpServerTest, TakesARequestByteByByte) {
  const UniqueFd client = Connect();
  for (const char c : std::string_view(kGet)) {
    Send(client, {&c, 1});
    Rounds(2);
  }
  EXPECT_THAT(Receive(client), HasSubstr("a page"));
}

TEST_F(HttpServerTest, WritesALargePageToASlowReaderWithoutWaitingForIt) {
  response_.body = std::make_shared<const std::string>(20 << 20, 'x');
  const UniqueFd slow = Connect();
  Send(slow, kGet);
  Rounds(100);
  const std::weak_ptr<const std::string> page = response_.body;
  response_ = PlainText(200, "small\n");
  EXPECT_THAT(Ask(kGet), HasSubstr("small"));  // meanwhile
  EXPECT_FALSE(page.expired());
  const std::string all = Receive(slow);
  EXPECT_EQ(all.size() - all.find("\r\n\r\n") - 4, size_t{20} << 20);
  EXPECT_TRUE(page.expired());
}

TEST_F(HttpServerTest, ARequestThatDoesNotComeIsNotWaitedForForEver) {
  const UniqueFd silent = Connect();
  const UniqueFd slow = Connect();
  Send(slow, "GET / HT");
  EXPECT_TRUE(IsOpen(silent));
  clock_.Advance(HttpServer::kPatience - milliseconds(1));
  Send(slow, "TP");
  EXPECT_TRUE(IsOpen(silent));
  EXPECT_TRUE(IsOpen(slow));
  clock_.Advance(milliseconds(1));
  EXPECT_FALSE(IsOpen(silent));
  EXPECT_FALSE(IsOpen(slow));
}

TEST_F(HttpServerTest, AReaderThatDoesNotReadIsLetGo) {
  response_.body = std::make_shared<const std::string>(20 << 20, 'x');
  const std::weak_ptr<const std::string> page = response_.body;
  const UniqueFd stuck = Connect();
  Send(stuck, kGet);
  Rounds(100);
  response_ = PlainText(200, "");
  EXPECT_FALSE(page.expired());
  clock_.Advance(HttpServer::kPatience);
  Rounds();
  EXPECT_TRUE(page.expired());
}

TEST_F(HttpServerTest, MoreThanItsConnectionsWaitForTheirTurn) {
  std::vector<UniqueFd> idle;
  for (size_t i = 0; i < HttpServer::kMaxConnections; ++i) idle.push_back(Connect());
  Rounds(100);
  const UniqueFd waiting = Connect();
  Send(waiting, kGet);
  Rounds(100);
  EXPECT_TRUE(seen_.empty());
  idle.pop_back();
  EXPECT_THAT(Receive(waiting), HasSubstr("a page"));
}

TEST_F(HttpServerTest, ItsEndClosesEveryConnection) {
  const UniqueFd client = Connect();
  Send(client, "GET /");
  Rounds();
  server_.reset();
  EXPECT_FALSE(IsOpen(client));
}

}  // namespace
}  // namespace plugind::observe
