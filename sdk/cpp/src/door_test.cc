#include "sdk/cpp/src/door.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <map>
#include <optional>
#include <stdexcept>

namespace plugind::sdk {
namespace {

using testing::HasSubstr;

// Starts each test with none of the variables and gives them back after it.
class DoorTest : public testing::Test {
 protected:
  void SetUp() override {
    for (const char* name : {"PLUGIND_HOST_ADDRESS", "PLUGIND_SOCKET", "XDG_RUNTIME_DIR"}) {
      const char* value = std::getenv(name);
      before_[name] = value == nullptr ? std::nullopt : std::optional<std::string>(value);
      unsetenv(name);
    }
  }
  void TearDown() override {
    for (const auto& [name, value] : before_) {
      if (value) {
        Set(name, *value);
      } else {
        unsetenv(name.c_str());
      }
    }
  }
  static void Set(const std::string& name, const std::string& value) {
    setenv(name.c_str(), value.c_str(), 1);
  }
  static std::string Refusal(const std::function<void()>& action) {
    try {
      action();
    } catch (const std::invalid_argument& refused) {
      return refused.what();
    }
    return "";
  }

 private:
  std::map<std::string, std::optional<std::string>> before_;
};

TEST_F(DoorTest, IsTheDefaultOfTheUserWhereTheEnvironmentSaysNothing) {
  EXPECT_EQ(FindDoor(0).socket, "/run/plugind/plugind.sock");
  EXPECT_EQ(FindDoor(1000).socket, "/run/user/1000/plugind/plugind.sock");
  Set("XDG_RUNTIME_DIR", "/home/ada/run");
  EXPECT_EQ(FindDoor(1000).socket, "/home/ada/run/plugind/plugind.sock");
  EXPECT_EQ(FindDoor(0).socket, "/run/plugind/plugind.sock");
}

TEST_F(DoorTest, IsTheSocketThatTheEnvironmentNames) {
  Set("XDG_RUNTIME_DIR", "/home/ada/run");
  for (const char* value :
       {"/tmp/x/plugind.sock", "unix:/tmp/x/plugind.sock", "unix:///tmp/x/plugind.sock"}) {
    Set("PLUGIND_SOCKET", value);
    EXPECT_EQ(FindDoor(0).socket, "/tmp/x/plugind.sock");
    EXPECT_FALSE(FindDoor(0).is_host);
  }
  Set("PLUGIND_SOCKET", "");
  EXPECT_EQ(FindDoor(0).socket, "/run/plugind/plugind.sock");
}

TEST_F(DoorTest, WithinAPluginIsItsOwn) {
  Set("PLUGIND_SOCKET", "/tmp/x/plugind.sock");
  Set("PLUGIND_HOST_ADDRESS", "unix:/run/plugind/i/7f3a/host.sock");
  const Door door = FindDoor(0);
  EXPECT_TRUE(door.is_host);
  EXPECT_EQ(SocketFor(door, "kv"), "/run/plugind/i/7f3a/host.sock");
}

TEST_F(DoorTest, WithinAPluginIsNoOtherWhenItsAddressIsStrange) {
  for (const char* value : {"127.0.0.1:80", "unix:", "unix:relative", "/run/host.sock"}) {
    Set("PLUGIND_HOST_ADDRESS", value);
    EXPECT_THAT(Refusal([] { FindDoor(0); }), HasSubstr(value));
  }
}

TEST_F(DoorTest, OfAPluginIsItsSocketBesidePlugindSock) {
  EXPECT_EQ(SocketFor(FrontDoor("/run/plugind/plugind.sock"), "greeter"),
            "/run/plugind/plugins/greeter.sock");
  EXPECT_EQ(SocketFor(FrontDoor("/plugind.sock"), "greeter"), "/plugins/greeter.sock");
}

TEST_F(DoorTest, CountsFromTheWorkingDirectoryOfWhenItIsMade) {
  const std::string here = std::filesystem::current_path().string();
  EXPECT_EQ(FrontDoor("r/plugind.sock").socket, here + "/r/plugind.sock");
}

TEST_F(DoorTest, TakesTheNamesThatTheConfigurationTakes) {
  const Door door = FrontDoor("/r/plugind.sock");
  for (const std::string& name : {std::string("a"), std::string("kv-2"), std::string("a.b_c"),
                                  std::string("0"), std::string(48, 'n')}) {
    EXPECT_EQ(SocketFor(door, name), "/r/plugins/" + name + ".sock");
  }
  for (const std::string& name :
       {std::string(), std::string("Kv"), std::string("-a"), std::string("a-"), std::string("."),
        std::string(".."), std::string("../x"), std::string("a/b"), std::string("a b"),
        std::string("a\n"), std::string("a\0b", 3), std::string("é"), std::string(49, 'n')}) {
    EXPECT_THAT(Refusal([&] { SocketFor(door, name); }), HasSubstr("no plugin name")) << name;
    EXPECT_THAT(Refusal([&] {
                  SocketFor(Door{"/i/h.sock", true}, name);
                }),
                HasSubstr("no plugin name"));
  }
}

TEST_F(DoorTest, RefusesPathsThatNoSocketHas) {
  EXPECT_THAT(Refusal([] { FrontDoor(""); }), HasSubstr("empty"));
  EXPECT_THAT(Refusal([] { FrontDoor("unix:"); }), HasSubstr("empty"));
  EXPECT_THAT(Refusal([] { FrontDoor(std::string("/a\0b", 4)); }), HasSubstr("NUL"));
  EXPECT_NO_THROW(FrontDoor("/" + std::string(106, 'd')));
  EXPECT_THAT(Refusal([] { FrontDoor("/" + std::string(107, 'd')); }), HasSubstr("107"));
  // plugind.sock fits, and the plugin's does not.
  const Door door = FrontDoor("/" + std::string(90, 'd') + "/plugind.sock");
  EXPECT_THAT(Refusal([&] { SocketFor(door, "greeter"); }), HasSubstr("greeter.sock"));
}

TEST(TargetTest, IsAUriWhateverThePath) {
  EXPECT_EQ(TargetOf("/run/plugind/a-b_c.sock"), "unix:/run/plugind/a-b_c.sock");
  EXPECT_EQ(TargetOf("/a%41?b#c d/\xc3\xa9"), "unix:/a%2541%3Fb%23c%20d/%C3%A9");
}

}  // namespace
}  // namespace plugind::sdk
