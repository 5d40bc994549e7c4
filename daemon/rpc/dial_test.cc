// Dial over TCP; over Unix sockets the tests of whole plugins do it.
#include "daemon/rpc/dial.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>

namespace plugind::rpc {
namespace {

// Listens on a port that the kernel chooses.
class TcpListener {
 public:
  explicit TcpListener(int family = AF_INET, bool loopback = true)
      : fd_(::socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in v4{};
    v4.sin_family = AF_INET;
    v4.sin_addr.s_addr = htonl(loopback ? INADDR_LOOPBACK : INADDR_ANY);
    sockaddr_in6 v6{};
    v6.sin6_family = AF_INET6;
    v6.sin6_addr = loopback ? in6addr_loopback : in6addr_any;
    auto* address =
        family == AF_INET ? reinterpret_cast<sockaddr*>(&v4) : reinterpret_cast<sockaddr*>(&v6);
    socklen_t size = family == AF_INET ? sizeof v4 : sizeof v6;
    listens_ = ::bind(fd_.get(), address, size) == 0 && ::listen(fd_.get(), 8) == 0 &&
               ::getsockname(fd_.get(), address, &size) == 0;
    port_ = ntohs(family == AF_INET ? v4.sin_port : v6.sin6_port);
  }
  bool listens() const { return listens_; }
  std::string At(const std::string& host) const { return host + ":" + std::to_string(port_); }
  void Close() { fd_.reset(); }

 private:
  UniqueFd fd_;
  bool listens_ = false;
  uint16_t port_ = 0;
};

// A process that does nothing, and has no fd of ours.
class Bystander {
 public:
  Bystander() : pid_(::fork()) {
    if (pid_ != 0) return;
    for (int fd = 3; fd < 1024; ++fd) ::close(fd);
    while (true) ::pause();
  }
  ~Bystander() {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  int pid() const { return pid_; }

 private:
  const int pid_;
};

absl::StatusOr<UniqueFd> DialAs(int pid, const std::string& address) {
  return Dial({"kv", "7f3a", pid, "/run/i/7f3a", {1, supervisor::Network::kTcp, address}});
}

TEST(DialTest, ReachesAPluginsOwnTcpListener) {
  const TcpListener listener;
  ASSERT_TRUE(listener.listens());
  const auto fd = DialAs(::getpid(), listener.At("127.0.0.1"));
  EXPECT_TRUE(fd.ok()) << fd.status();
  EXPECT_TRUE(DialAs(::getpid(), listener.At("localhost")).ok());
}

TEST(DialTest, ReachesAListenerOfEveryAddress) {
  const TcpListener listener(AF_INET, /*loopback=*/false);
  ASSERT_TRUE(listener.listens());
  const auto fd = DialAs(::getpid(), listener.At("127.0.0.1"));
  EXPECT_TRUE(fd.ok()) << fd.status();
}

TEST(DialTest, ReachesAListenerOnIpv6) {
  const TcpListener listener(AF_INET6);
  if (!listener.listens()) GTEST_SKIP() << "there is no IPv6 here";
  const auto fd = DialAs(::getpid(), listener.At("[::1]"));
  EXPECT_TRUE(fd.ok()) << fd.status();
}

TEST(DialTest, FindsTheListenerInAChildOfTheMainProcess) {
  Bystander other;
  int pipe[2];
  ASSERT_EQ(::pipe(pipe), 0);
  const int child = ::fork();
  if (child == 0) {
    const TcpListener listener;
    const std::string address = listener.At("127.0.0.1");
    if (::write(pipe[1], address.data(), address.size()) < 0) ::_exit(1);
    while (true) ::pause();
  }
  char address[32]{};
  ASSERT_GT(::read(pipe[0], address, sizeof address), 0);
  EXPECT_TRUE(DialAs(::getpid(), address).ok());
  EXPECT_EQ(DialAs(other.pid(), address).status().code(), absl::StatusCode::kFailedPrecondition);
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  ::close(pipe[0]);
  ::close(pipe[1]);
}

TEST(DialTest, RefusesATcpListenerOfAnotherProcess) {
  const Bystander plugin;
  const TcpListener listener;
  ASSERT_TRUE(listener.listens());
  const auto fd = DialAs(plugin.pid(), listener.At("127.0.0.1"));
  EXPECT_EQ(fd.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_NE(Message(fd.status()).find("none of this plugin's"), std::string::npos) << fd.status();
}

TEST(DialTest, SaysThatNobodyListens) {
  TcpListener listener;
  ASSERT_TRUE(listener.listens());
  listener.Close();
  EXPECT_EQ(DialAs(::getpid(), listener.At("127.0.0.1")).status().code(),
            absl::StatusCode::kUnavailable);
}

}  // namespace
}  // namespace plugind::rpc
