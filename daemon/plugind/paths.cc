#include "daemon/plugind/paths.h"

#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <system_error>

namespace plugind {
namespace {

// The longest path below the runtime directory that must fit into a socket's address: /i/12345678/
// and a plugin's own name for its socket.
constexpr size_t kRoomBelowRuntime = 36;

std::string FromEnvironment(const char* name) {
  const char* const value = std::getenv(name);
  return value != nullptr && value[0] == '/'
             ? value
             : "";  // the XDG specification: relative paths are ignored
}

absl::StatusOr<std::string> Xdg(const char* variable, const char* below_home) {
  std::string base = FromEnvironment(variable);
  if (base.empty() && below_home != nullptr) {
    base = FromEnvironment("HOME");
    if (!base.empty()) base += below_home;
  }
  if (base.empty()) {
    return Error(absl::StatusCode::kFailedPrecondition,
                 "{} is not set; name the directory on the command line", variable);
  }
  return base + "/plugind";
}

absl::Status MakeOwnDirectory(const std::string& path, mode_t mode) {
  if (::mkdir(path.c_str(), mode) == 0) {
    // Not subject to the umask: plugins that run as other users must be able to pass through.
    if (::chmod(path.c_str(), mode) < 0) return ErrnoError(errno, "cannot set the mode of " + path);
    return absl::OkStatus();
  }
  if (errno != EEXIST) return ErrnoError(errno, "cannot make the directory " + path);
  struct stat status {};
  if (::lstat(path.c_str(), &status) < 0) return ErrnoError(errno, "cannot look at " + path);
  if (!S_ISDIR(status.st_mode))
    return Error(absl::StatusCode::kFailedPrecondition, "{} is not a directory", path);
  if (status.st_uid != ::geteuid()) {
    return Error(absl::StatusCode::kFailedPrecondition,
                 "the directory {} belongs to uid {}, not to plugind's uid {}", path, status.st_uid,
                 ::geteuid());
  }
  if ((status.st_mode & S_IWOTH) != 0) {
    return Error(absl::StatusCode::kFailedPrecondition,
                 "the directory {} is writable by everybody (mode {:o})", path,
                 status.st_mode & 07777U);
  }
  return absl::OkStatus();
}

absl::Status MakeWithParents(std::string* path, mode_t mode) {
  std::error_code error;
  std::filesystem::path absolute = std::filesystem::absolute(*path, error).lexically_normal();
  if (!absolute.has_filename()) absolute = absolute.parent_path();
  std::filesystem::create_directories(absolute.parent_path(), error);
  if (error)
    return Error(absl::StatusCode::kFailedPrecondition, "cannot make {}: {}",
                 absolute.parent_path().string(), error.message());
  // The last component may be a link that the administrator made; what it leads to is what is
  // checked and used.
  const std::filesystem::path real = std::filesystem::weakly_canonical(absolute, error);
  if (error)
    return Error(absl::StatusCode::kFailedPrecondition, "cannot resolve {}: {}", absolute.string(),
                 error.message());
  *path = real.string();
  return MakeOwnDirectory(*path, mode);
}

}  // namespace

absl::Status FillDefaults(Paths* paths) {
  const bool root = ::geteuid() == 0;
  if (paths->config_file.empty()) {
    if (root) {
      paths->config_file = "/etc/plugind/plugind.toml";
    } else {
      ASSIGN_OR_RETURN(paths->config_file, Xdg("XDG_CONFIG_HOME", "/.config"));
      paths->config_file += "/plugind.toml";
    }
  }
  if (paths->runtime_dir.empty()) {
    if (root) {
      paths->runtime_dir = "/run/plugind";
    } else {
      ASSIGN_OR_RETURN(paths->runtime_dir, Xdg("XDG_RUNTIME_DIR", nullptr));
    }
  }
  if (paths->state_dir.empty()) {
    if (root) {
      paths->state_dir = "/var/lib/plugind";
    } else {
      ASSIGN_OR_RETURN(paths->state_dir, Xdg("XDG_STATE_HOME", "/.local/state"));
    }
  }
  return absl::OkStatus();
}

absl::Status MakeDirectories(Paths* paths) {
  std::error_code error;
  paths->config_file =
      std::filesystem::absolute(paths->config_file, error).lexically_normal().string();
  if (error)
    return Error(absl::StatusCode::kFailedPrecondition, "cannot resolve {}: {}", paths->config_file,
                 error.message());
  RETURN_IF_ERROR(MakeWithParents(&paths->runtime_dir, 0755));
  RETURN_IF_ERROR(MakeWithParents(&paths->state_dir, 0711));
  if (paths->runtime_dir.size() + kRoomBelowRuntime >= sizeof(sockaddr_un::sun_path)) {
    return Error(absl::StatusCode::kFailedPrecondition,
                 "the runtime directory's path has {} bytes ({}); with a socket's path of {} at "
                 "most, it may have {}",
                 paths->runtime_dir.size(), paths->runtime_dir, sizeof(sockaddr_un::sun_path) - 1,
                 sizeof(sockaddr_un::sun_path) - 1 - kRoomBelowRuntime);
  }
  // Each plugin's own directories below these are 0700 and its own.
  RETURN_IF_ERROR(MakeOwnDirectory(paths->runtime_dir + "/i", 0711));
  RETURN_IF_ERROR(MakeOwnDirectory(paths->runtime_dir + "/plugins", 0755));
  return MakeOwnDirectory(paths->state_dir + "/plugins", 0711);
}

}  // namespace plugind
