// A folder of its own, mode 0700, under TMPDIR or /tmp; removed with everything in it.
#pragma once

#include <absl/status/statusor.h>

#include <string>
#include <utility>

namespace plugind::pluginctl {

class ScratchFolder {
 public:
  // Where TMPDIR's path is too long for sockets below it, /tmp is taken.
  static absl::StatusOr<ScratchFolder> Make();

  ScratchFolder(ScratchFolder&& other) noexcept : path_(std::exchange(other.path_, "")) {}
  ScratchFolder& operator=(ScratchFolder&&) = delete;
  ~ScratchFolder();

  const std::string& path() const { return path_; }

 private:
  explicit ScratchFolder(std::string path) : path_(std::move(path)) {}

  std::string path_;  // empty: moved from
};

}  // namespace plugind::pluginctl
