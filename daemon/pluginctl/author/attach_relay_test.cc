#include "daemon/pluginctl/author/attach_relay.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <chrono>
#include <cstring>
#include <string>
#include <thread>

#include "daemon/pluginctl/author/bridge.h"

namespace plugind::pluginctl {
namespace {

TEST(AttachTest, ValuesSurviveTheShell) {
  EXPECT_EQ(ExportLine("A", "b c"), "export A='b c'");
  EXPECT_EQ(ExportLine("A", "it's $HOME"), "export A='it'\\''s $HOME'");
}

std::string ReadAll(int fd) {
  std::string all;
  char buffer[4096];
  for (ssize_t size = 0; (size = read(fd, buffer, sizeof(buffer))) > 0;)
    all.append(buffer, static_cast<size_t>(size));
  return all;
}

TEST(BridgeTest, HandsOnEverythingBothWaysAndEachEnd) {
  int near[2], far[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, near), 0);
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, far), 0);
  SystemClock clock;
  EventLoop loop(clock);
  // The bridge's own ends do not block; those of the two who talk do.
  const auto unblocking = [](int fd) {
    UniqueFd owned(fd);
    const int flags = fcntl(fd, F_GETFL);
    fcntl(fd, F_SETFL, flags | O_NONBLOCK);
    return owned;
  };
  bool ended = false;
  Bridge bridge(loop, unblocking(near[1]), unblocking(far[1]), [&] {
    ended = true;
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

}  // namespace
}  // namespace plugind::pluginctl
