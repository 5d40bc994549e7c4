// A temporary directory of its own for each test, removed at the end.
#pragma once

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <system_error>

namespace plugind::supervisor {

class TempDir {
 public:
  TempDir() : TempDir(std::filesystem::temp_directory_path()) {}
  explicit TempDir(const std::filesystem::path& parent) {
    std::string name = (parent / "plugind-XXXXXX").string();
    const char* made = ::mkdtemp(name.data());
    EXPECT_NE(made, nullptr) << name;
    path_ = std::filesystem::canonical(name).string();
  }
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  ~TempDir() {
    std::error_code ignored;  // it lies in the system's temporary directory
    std::filesystem::remove_all(path_, ignored);
  }

  // Where fsync costs nothing, if there is such a place: for tests that are not about the disk and
  // make many.
  static std::filesystem::path InMemory() {
    const std::filesystem::path memory = "/dev/shm";
    return ::access(memory.c_str(), W_OK) == 0 ? memory : std::filesystem::temp_directory_path();
  }

  const std::string& path() const { return path_; }
  std::string Path(const std::string& name) const { return path_ + "/" + name; }

  // Makes a file with exactly these permissions, whatever the umask is. Returns its path.
  std::string Write(const std::string& name, const std::string& text, mode_t mode = 0600) const {
    {
      std::ofstream out(Path(name), std::ios::binary);
      out << text;
      EXPECT_TRUE(out.good()) << name;
    }
    EXPECT_EQ(::chmod(Path(name).c_str(), mode), 0) << name;
    return Path(name);
  }
  std::string Read(const std::string& name) const {
    std::ifstream in(Path(name), std::ios::binary);
    EXPECT_TRUE(in.good()) << name;
    return {std::istreambuf_iterator<char>(in), {}};
  }
  bool Has(const std::string& name) const { return std::filesystem::exists(Path(name)); }

 private:
  std::string path_;
};

}  // namespace plugind::supervisor
