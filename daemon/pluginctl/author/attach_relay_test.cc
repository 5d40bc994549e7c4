#include "daemon/pluginctl/author/attach_relay.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <chrono>
#include <cstring>
#include <memory>
#include <string>
#include <thread>

#include "daemon/pluginctl/author/bridge.h"
#include "daemon/tls/testing/server.h"

namespace plugind::pluginctl {
namespace {

TEST(AttachTest, ValuesSurviveTheShell) {
  EXPECT_EQ(ExportLine("A", "b c"), "export A='b c'");
  EXPECT_EQ(ExportLine("A", "it's $HOME"), "export A='it'\\''s $HOME'");
  EXPECT_EQ(ExportLine("A", "b\nc\n"), "export A='b\nc\n'");
}

std::string ReadAll(int fd) {
  std::string all;
  char buffer[4096];
  for (ssize_t size = 0; (size = read(fd, buffer, sizeof(buffer))) > 0;)
    all.append(buffer, static_cast<size_t>(size));
  return all;
}

// The bridge's own ends do not block; those of the two who talk do.
UniqueFd Unblocking(int fd) {
  UniqueFd owned(fd);
  const int flags = fcntl(fd, F_GETFL);
  fcntl(fd, F_SETFL, flags | O_NONBLOCK);
  return owned;
}

TEST(BridgeTest, HandsOnEverythingBothWaysAndEachEnd) {
  int near[2], far[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, near), 0);
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, far), 0);
  SystemClock clock;
  EventLoop loop(clock);
  bool ended = false;
  Bridge bridge(loop, Unblocking(near[1]), Unblocking(far[1]), nullptr,
                [&](const std::string& trouble) {
                  ended = true;
                  EXPECT_EQ(trouble, "");
                  loop.Stop();
                });
  // More than any buffer in between holds.
  const std::string large(8 << 20, 'x');
  std::thread asks([&] {
    EXPECT_EQ(write(near[0], large.data(), large.size()), static_cast<ssize_t>(large.size()));
    shutdown(near[0], SHUT_WR);
    EXPECT_EQ(ReadAll(near[0]), "answer");
  });
  std::thread answers([&] {
    EXPECT_EQ(ReadAll(far[0]), large);
    EXPECT_EQ(write(far[0], "answer", 6), 6);
    shutdown(far[0], SHUT_WR);
  });
  loop.Run();
  asks.join();
  answers.join();
  EXPECT_TRUE(ended);
  close(near[0]);
  close(far[0]);
}

tls::Identity MadeIdentity() {
  std::string error;
  auto identity = tls::MakeIdentity(SystemClock().WallNow(), &error);
  EXPECT_TRUE(identity) << error;
  return identity.value_or(tls::Identity());
}

// Asks for `size` bytes and an answer of as many through a bridge whose right side speaks TLS with
// a server that takes `trusted`; how the bridge ended.
std::string ThroughTls(const tls::Identity& ours, const tls::Identity& trusted, size_t size) {
  int near[2], outside[2], far[2];
  EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, near), 0);
  EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, outside), 0);
  EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, far), 0);
  auto server = std::make_unique<tls::testing::Server>(
      tls::testing::ServerTerms{MadeIdentity(), trusted.certificate}, Unblocking(outside[1]),
      Unblocking(far[1]));
  std::string error;
  const tls::ClientPtr client = tls::Client::MakeForAnyPeer(ours, &error);
  EXPECT_NE(client, nullptr) << error;
  SystemClock clock;
  EventLoop loop(clock);
  std::string ended = "not at all";
  Bridge bridge(loop, Unblocking(near[1]), Unblocking(outside[0]), client,
                [&](const std::string& trouble) {
                  ended = trouble;
                  loop.Stop();
                });
  const UniqueFd asker(near[0]);
  const UniqueFd answerer(far[0]);
  const auto read_all = [size](int fd) {
    std::string all(size, ' ');
    return recv(fd, all.data(), size, MSG_WAITALL) == static_cast<ssize_t>(size) ? all : "";
  };
  const auto send_all = [](int fd, const std::string& all) {
    return send(fd, all.data(), all.size(), MSG_NOSIGNAL);
  };
  std::thread asks([&] {
    if (send_all(asker.get(), std::string(size, 'x')) < 0) return;
    if (read_all(asker.get()).empty()) return;
    shutdown(asker.get(), SHUT_RDWR);
  });
  std::thread answers([&] {
    const std::string question = read_all(answerer.get());
    if (question.empty()) return;
    EXPECT_EQ(question, std::string(size, 'x'));
    send_all(answerer.get(), std::string(size, 'y'));
  });
  loop.Run();
  shutdown(asker.get(), SHUT_RDWR);
  server.reset();
  asks.join();
  answers.join();
  return ended;
}

TEST(BridgeTest, SpeaksTlsToTheRightWhicheverItsPeersCertificate) {
  const tls::Identity ours = MadeIdentity();
  for (const size_t size : {size_t{1}, size_t{64} * 1024, size_t{8} << 20})
    EXPECT_EQ(ThroughTls(ours, ours, size), "");
}

TEST(BridgeTest, TellsWhatWentWrongWithTls) {
  EXPECT_THAT(ThroughTls(MadeIdentity(), MadeIdentity(), 1),
              ::testing::HasSubstr("TLS with the plugin failed"));
}

}  // namespace
}  // namespace plugind::pluginctl
