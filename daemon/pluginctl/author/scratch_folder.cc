#include "daemon/pluginctl/author/scratch_folder.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <system_error>

#include "daemon/base/status.h"

namespace plugind::pluginctl {
namespace {

// Of a socket's 107 bytes, what plugind, an instance and a plugin's own name leave.
constexpr size_t kLongestBase = 40;

}  // namespace

absl::StatusOr<ScratchFolder> ScratchFolder::Make() {
  const char* given = std::getenv("TMPDIR");
  std::string base = given == nullptr ? "" : given;
  if (base.empty() || base.front() != '/' || base.size() > kLongestBase) base = "/tmp";
  std::string path = base + "/plugin-XXXXXX";
  if (mkdtemp(path.data()) == nullptr) return ErrnoError(errno, "cannot make a folder in " + base);
  return ScratchFolder(path);
}

ScratchFolder::~ScratchFolder() {
  if (path_.empty()) return;
  std::error_code error;
  std::filesystem::remove_all(path_, error);
  if (error) fmt::print(stderr, "pluginctl: cannot remove {}: {}\n", path_, error.message());
}

}  // namespace plugind::pluginctl
