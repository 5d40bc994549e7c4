#include "daemon/plugind/http_listener.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <fstream>

#include "daemon/supervisor/testing/temp_dir.h"

namespace plugind {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

class HttpListenerTest : public ::testing::Test {
 protected:
  const supervisor::TempDir folder_;
  const std::string path_ = folder_.Path("metrics.sock");
};

TEST_F(HttpListenerTest, APortOfZeroBecomesOneThatIsFree) {
  for (const std::string host : {"127.0.0.1", "127.1.2.3", "localhost"}) {
    const auto listener = ListenHttp(host + ":0");
    ASSERT_TRUE(listener.ok()) << listener.status();
    EXPECT_THAT(listener->address, StartsWith(host + ":"));
    EXPECT_NE(listener->address, host + ":0");
  }
}

TEST_F(HttpListenerTest, APortInUseIsAnErrorThatNamesIt) {
  const auto first = ListenHttp("127.0.0.1:0");
  ASSERT_TRUE(first.ok());
  const auto second = ListenHttp(first->address);
  EXPECT_THAT(std::string(Message(second.status())), HasSubstr(first->address));
  EXPECT_THAT(std::string(Message(second.status())), HasSubstr("in use"));
}

TEST_F(HttpListenerTest, ASocketThatADeadProcessLeftIsReplaced) {
  ASSERT_TRUE(ListenHttp("unix:" + path_).ok());  // closed, its file is still there
  const auto again = ListenHttp("unix:" + path_);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->path, path_);
  struct stat file {};
  ASSERT_EQ(::stat(path_.c_str(), &file), 0);
  EXPECT_EQ(file.st_mode & 0777, 0666u);
}

TEST_F(HttpListenerTest, ASocketThatIsAnsweredOnIsNotTakenAway) {
  const auto first = ListenHttp("unix:" + path_);
  ASSERT_TRUE(first.ok());
  EXPECT_FALSE(ListenHttp("unix:" + path_).ok());
}

TEST_F(HttpListenerTest, AFileThatIsNoSocketIsLeftAlone) {
  std::ofstream(path_) << "precious";
  EXPECT_FALSE(ListenHttp("unix:" + path_).ok());
  std::string content;
  std::ifstream(path_) >> content;
  EXPECT_EQ(content, "precious");
}

}  // namespace
}  // namespace plugind
