#include "daemon/pluginctl/author/scratch_folder.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <system_error>

#include "daemon/base/status.h"
#include "daemon/pluginctl/author/private_daemon.h"

namespace plugind::pluginctl {
namespace {

namespace fs = std::filesystem;

// Of a socket's 107 bytes, what plugind, an instance and a plugin's own name leave.
constexpr size_t kLongestBase = 40;
constexpr const char* kPrefix = "plugin-";
// Made once the folder is locked. Others make folders of such names, too, and lock nothing.
constexpr const char* kMark = "/.pluginctl";

UniqueFd Lock(const std::string& path, int flags) {
  UniqueFd fd(open(path.c_str(), flags | O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
  if (fd.valid() && flock(fd.get(), LOCK_EX | LOCK_NB) != 0) fd.reset();
  return fd;
}

// Only what is certainly ours and nobody's any more; the rest is left as it is.
void RemoveIfAbandoned(const std::string& path) {
  struct stat mark {};
  if (lstat((path + kMark).c_str(), &mark) != 0 || mark.st_uid != geteuid()) return;
  const UniqueFd maker = Lock(path, O_DIRECTORY);
  if (!maker.valid()) return;
  // It may outlive who started it by the time that its plugin takes to end.
  const std::string daemon_lock = PrivateDaemon::LockIn(path);
  const UniqueFd daemon = Lock(daemon_lock, 0);
  if (!daemon.valid() && access(daemon_lock.c_str(), F_OK) == 0) return;
  std::error_code error;
  fs::remove_all(path, error);
  if (error) fmt::print(stderr, "pluginctl: cannot remove {}: {}\n", path, error.message());
}

void RemoveAbandoned(const std::string& base) {
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(base, error)) {
    if (entry.path().filename().string().starts_with(kPrefix))
      RemoveIfAbandoned(entry.path().string());
  }
}

}  // namespace

absl::StatusOr<ScratchFolder> ScratchFolder::Make() {
  const char* given = std::getenv("TMPDIR");
  std::string base = given == nullptr ? "" : given;
  if (base.empty() || base.front() != '/' || base.size() > kLongestBase) base = "/tmp";
  RemoveAbandoned(base);
  std::string path = base + '/' + kPrefix + "XXXXXX";
  if (mkdtemp(path.data()) == nullptr) return ErrnoError(errno, "cannot make a folder in " + base);
  ScratchFolder folder(path, Lock(path, O_DIRECTORY));
  if (!folder.lock_.valid()) return ErrnoError(errno, "cannot lock " + path);
  const std::string mark = path + kMark;
  if (!UniqueFd(open(mark.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, S_IRUSR)).valid())
    return ErrnoError(errno, "cannot make " + mark);
  return folder;
}

ScratchFolder::~ScratchFolder() {
  if (path_.empty()) return;
  std::error_code error;
  fs::remove_all(path_, error);
  if (error) fmt::print(stderr, "pluginctl: cannot remove {}: {}\n", path_, error.message());
}

}  // namespace plugind::pluginctl
