// A folder of its own, mode 0700, under TMPDIR or /tmp; removed with everything in it. Whoever was
// killed cannot do that: the next one who makes a folder does it for him. A folder is in use while
// its maker lives, or the private plugind in it; both hold locks.
#pragma once

#include <absl/status/statusor.h>

#include <string>
#include <utility>

#include "daemon/base/unique_fd.h"

namespace plugind::pluginctl {

class ScratchFolder {
 public:
  // Where TMPDIR's path is too long for sockets below it, /tmp is taken.
  static absl::StatusOr<ScratchFolder> Make();

  ScratchFolder(ScratchFolder&& other) noexcept
      : path_(std::exchange(other.path_, "")), lock_(std::move(other.lock_)) {}
  ScratchFolder& operator=(ScratchFolder&&) = delete;
  ~ScratchFolder();

  const std::string& path() const { return path_; }

 private:
  ScratchFolder(std::string path, UniqueFd lock) : path_(std::move(path)), lock_(std::move(lock)) {}

  std::string path_;  // empty: moved from
  UniqueFd lock_;     // the folder itself, locked
};

}  // namespace plugind::pluginctl
