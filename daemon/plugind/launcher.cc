#include "daemon/plugind/launcher.h"

#include <fcntl.h>
#include <unistd.h>

#include <filesystem>
#include <system_error>

#include "daemon/base/unique_fd.h"
#include "daemon/plugind/lock.h"

namespace plugind {
namespace {

// Found from where this program lies and nowhere else, so that a tree may be installed anywhere and
// moved, and a keeper of another version is never taken.
absl::StatusOr<std::string> FindKeeper(const std::string& self) {
  const std::filesystem::path own = std::filesystem::path(self).parent_path();
  const std::string beside = (own / "plugind-keeper").string();
  const std::string installed =
      (own / PLUGIND_LIBEXEC_FROM_BIN / "plugind-keeper").lexically_normal().string();
  for (const auto& path : {beside, installed}) {
    if (::access(path.c_str(), X_OK) == 0) return path;
  }
  return Error(absl::StatusCode::kNotFound,
               "plugind-keeper is neither at {} nor at {}: the installation is incomplete", beside,
               installed);
}

}  // namespace

absl::Status BecomeKeeper(const Paths& paths) {
  std::error_code error;
  const std::string self = std::filesystem::read_symlink("/proc/self/exe", error).string();
  if (error)
    return Error(absl::StatusCode::kInternal, "cannot read /proc/self/exe: {}", error.message());
  ASSIGN_OR_RETURN(const std::string keeper, FindKeeper(self));
  ASSIGN_OR_RETURN(const UniqueFd lock, TakeLock(paths.runtime_dir));
  if (::fcntl(lock.get(), F_SETFD, 0) < 0) return ErrnoError(errno, "cannot pass on the lock");

  std::vector<std::string> words = {"plugind-keeper", "--lock-fd", std::to_string(lock.get())};
  words.insert(words.end(), {"--", self, "--config", paths.config_file, "--runtime-dir",
                             paths.runtime_dir, "--state-dir", paths.state_dir});
  if (!paths.config_required) words.emplace_back("--config-may-be-absent");
  std::vector<char*> argv;
  for (auto& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  ::execv(keeper.c_str(), argv.data());
  return ErrnoError(errno, "cannot execute " + keeper);
}

}  // namespace plugind
