#include "sdk/cpp/src/listener.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <future>

#include "sdk/cpp/src/failure.h"

namespace plugind::sdk {
namespace {

class UnixListenerTest : public testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/sdk-listener-XXXXXX";
    directory_ = mkdtemp(name);
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }

  static Fd Connect(const std::string& path) {
    Fd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.data(), path.size());
    if (connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
      fd.Reset();
    }
    return fd;
  }
  static mode_t ModeOf(const std::string& path) {
    struct stat file {};
    return stat(path.c_str(), &file) == 0 ? file.st_mode & 0777 : 0;
  }

  std::string directory_;
};

TEST_F(UnixListenerTest, IsOpenToItsOwnUserAlone) {
  const mode_t before = umask(0);
  const UnixListener listener(directory_, "p.sock", "");
  umask(before);
  EXPECT_EQ(listener.path(), directory_ + "/p.sock");
  EXPECT_EQ(ModeOf(listener.path()), 0600U);
}

TEST_F(UnixListenerTest, IsOpenToTheGroupThatTheHostNames) {
  const UnixListener listener(directory_, "p.sock", std::to_string(getgid()));
  EXPECT_EQ(ModeOf(listener.path()), 0660U);
}

TEST_F(UnixListenerTest, RefusesAnUnknownGroupAndLeavesNoFile) {
  EXPECT_THROW(UnixListener(directory_, "p.sock", "no-such-group"), Failure);
  EXPECT_TRUE(std::filesystem::is_empty(directory_));
}

TEST_F(UnixListenerTest, NamesThePathThatIsTooLong) {
  const std::string deep = directory_ + "/" + std::string(120, 'd');
  std::filesystem::create_directory(deep);
  try {
    const UnixListener listener(deep, "p.sock", "");
    FAIL() << "it was bound";
  } catch (const Failure& failure) {
    EXPECT_THAT(failure.what(), testing::HasSubstr(deep));
    EXPECT_THAT(failure.what(), testing::HasSubstr("107"));
  }
}

TEST_F(UnixListenerTest, HandsOnConnectionsThatCameBeforeItsThread) {
  UnixListener listener(directory_, "", "");
  const Fd client = Connect(listener.path());
  ASSERT_TRUE(client.valid());
  std::promise<int> accepted;
  listener.Start([&](int fd) { accepted.set_value(fd); });
  auto connection = accepted.get_future();
  ASSERT_EQ(connection.wait_for(std::chrono::seconds(10)), std::future_status::ready);
  const Fd server(connection.get());
  EXPECT_EQ(send(client.get(), "x", 1, 0), 1);
}

TEST_F(UnixListenerTest, RemovesItsFileButNotItsSuccessors) {
  UnixListener first(directory_, "p.sock", "");
  std::filesystem::remove(first.path());
  UnixListener second(directory_, "p.sock", "");
  const std::string path = second.path();
  first.Stop();
  EXPECT_TRUE(Connect(path).valid());
  second.Stop();
  EXPECT_FALSE(std::filesystem::exists(path));
}

TEST_F(UnixListenerTest, DoesNotTakeANameThatIsInUse) {
  const UnixListener first(directory_, "p.sock", "");
  EXPECT_THROW(UnixListener(directory_, "p.sock", ""), Failure);
  EXPECT_TRUE(Connect(first.path()).valid());
}

}  // namespace
}  // namespace plugind::sdk
