// For this folder's tests: a temporary folder with files in it, removed at the end; problems in
// print.
#pragma once

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <ostream>
#include <string>

#include "daemon/config/load.h"

namespace plugind::config {

inline void PrintTo(const Problem& problem, std::ostream* out) { *out << problem.ToString(); }

class TestFolder {
 public:
  TestFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "plugind-config-XXXXXX").string();
    const char* made = mkdtemp(name.data());
    EXPECT_NE(made, nullptr) << name;
    path_ = name;
  }
  TestFolder(const TestFolder&) = delete;
  TestFolder& operator=(const TestFolder&) = delete;
  ~TestFolder() {
    std::error_code ignored;  // it lies in the system's temporary folder
    std::filesystem::remove_all(path_, ignored);
  }

  std::string Path(const std::string& name) const { return path_ + "/" + name; }

  // Makes the folders above it, too.
  void Write(const std::string& name, const std::string& text) const {
    std::filesystem::create_directories(std::filesystem::path(Path(name)).parent_path());
    std::ofstream out(Path(name), std::ios::binary);
    out << text;
    EXPECT_TRUE(out.good()) << name;
  }

 private:
  std::string path_;
};

}  // namespace plugind::config
