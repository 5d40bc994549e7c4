// What the tests of the verbs share: a folder of their own, a fake daemon in it, and pluginctl
// pointed at that.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <string>
#include <vector>

#include "daemon/pluginctl/testing/fake_daemon.h"
#include "daemon/pluginctl/testing/process.h"

namespace plugind::pluginctl::testing {

class DaemonTest : public ::testing::Test {
 protected:
  ~DaemonTest() override { std::filesystem::remove_all(folder_); }

  static std::string MakeFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "pluginctl.XXXXXX").string();
    EXPECT_NE(mkdtemp(name.data()), nullptr);
    return name;
  }

  ProcessOptions Options() const { return {.env = {{"PLUGIND_SOCKET", daemon_.socket()}}}; }

  Result Ctl(const std::vector<std::string>& arguments) const {
    return Pluginctl(arguments, Options());
  }

  // One that is still running.
  std::unique_ptr<Process> Begin(const std::vector<std::string>& arguments) const {
    std::vector<std::string> argv = {PluginctlPath()};
    argv.insert(argv.end(), arguments.begin(), arguments.end());
    return std::make_unique<Process>(argv, Options());
  }

  const std::string folder_ = MakeFolder();
  FakeDaemon daemon_{folder_ + "/plugind.sock"};
};

}  // namespace plugind::pluginctl::testing
