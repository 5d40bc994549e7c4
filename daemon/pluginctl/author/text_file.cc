#include "daemon/pluginctl/author/text_file.h"

#include <cerrno>
#include <cstdio>
#include <fstream>
#include <iterator>

#include "daemon/base/status.h"

namespace plugind::pluginctl {

absl::StatusOr<std::string> ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::string text((std::istreambuf_iterator<char>(file)), {});
  if (!file) return Error(absl::StatusCode::kNotFound, "cannot read {}", path);
  return text;
}

absl::Status WriteFile(const std::string& path, const std::string& text) {
  const std::string fresh = path + ".new";
  std::ofstream file(fresh, std::ios::binary);
  file << text;
  file.close();
  if (!file || rename(fresh.c_str(), path.c_str()) != 0)
    return ErrnoError(errno, "cannot write " + path);
  return absl::OkStatus();
}

}  // namespace plugind::pluginctl
