#include "daemon/pluginctl/author/file_watch.h"

#include <sys/epoll.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <utility>

#include "daemon/base/status.h"

namespace plugind::pluginctl {
namespace {

// From the last step that was seen to the report: shortly, if it may have been the last; a file
// that is open for writing gets longer.
constexpr auto kQuiet = std::chrono::milliseconds(120);
constexpr auto kWriting = std::chrono::seconds(1);
constexpr uint32_t kUnfinished = IN_MODIFY | IN_CREATE;
// A folder that is gone (rm -rf build) sends no word of its return.
constexpr auto kRetry = std::chrono::milliseconds(250);

constexpr uint32_t kMask = IN_CLOSE_WRITE | IN_MODIFY | IN_ATTRIB | IN_CREATE | IN_MOVED_TO |
                           IN_MOVED_FROM | IN_DELETE | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR;

}  // namespace

bool FileWatch::Look::operator==(const Look& other) const {
  return there == other.there && inode == other.inode && size == other.size && mode == other.mode &&
         written.tv_sec == other.written.tv_sec && written.tv_nsec == other.written.tv_nsec;
}

FileWatch::Look FileWatch::LookAt(const std::string& path) {
  struct stat status {};
  if (stat(path.c_str(), &status) < 0) return {};
  return {true, status.st_ino, status.st_size, status.st_mtim, status.st_mode};
}

FileWatch::FileWatch(EventLoop& loop, Changed changed)
    : loop_(loop), changed_(std::move(changed)), settle_(loop.timers()), retry_(loop.timers()) {}

FileWatch::~FileWatch() {
  if (inotify_.valid()) loop_.Unwatch(inotify_.get());
}

absl::Status FileWatch::Open() {
  if (inotify_.valid()) return absl::OkStatus();
  inotify_.reset(inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
  if (!inotify_.valid()) return ErrnoError(errno, "cannot watch files");
  loop_.Watch(inotify_.get(), EPOLLIN, [this](uint32_t) { OnReadable(); });
  return absl::OkStatus();
}

absl::Status FileWatch::WatchFolder(const std::string& path, Folder** folder) {
  RETURN_IF_ERROR(Open());
  const int descriptor = inotify_add_watch(inotify_.get(), path.c_str(), kMask);
  if (descriptor < 0) return ErrnoError(errno, "cannot watch the folder " + path);
  *folder = &folders_[descriptor];
  (*folder)->path = path;
  return absl::OkStatus();
}

absl::Status FileWatch::Add(const std::string& path) {
  // What a link leads to may be replaced as well as the link.
  std::error_code error;
  const std::filesystem::path real = std::filesystem::weakly_canonical(path, error);
  std::set<std::filesystem::path> places = {path};
  if (!error) places.insert(real);
  for (const std::filesystem::path& place : places) {
    Folder* folder = nullptr;
    RETURN_IF_ERROR(WatchFolder(place.parent_path().string(), &folder));
    folder->names.insert(place.filename().string());
  }
  files_[path] = LookAt(path);
  return absl::OkStatus();
}

absl::Status FileWatch::AddSuffix(const std::string& folder, const std::string& suffix) {
  Folder* watched = nullptr;
  RETURN_IF_ERROR(WatchFolder(folder, &watched));
  watched->suffixes.insert(suffix);
  return absl::OkStatus();
}

void FileWatch::OnReadable() {
  alignas(inotify_event) std::array<char, 16 * 1024> buffer;
  for (;;) {
    const ssize_t size = read(inotify_.get(), buffer.data(), buffer.size());
    if (size <= 0) break;  // EAGAIN
    for (ssize_t at = 0; at < size;) {
      inotify_event event{};
      std::memcpy(&event, buffer.data() + at, sizeof(event));
      const std::string name = event.len == 0 ? "" : buffer.data() + at + sizeof(event);
      at += static_cast<ssize_t>(sizeof(event) + event.len);
      if ((event.mask & IN_Q_OVERFLOW) != 0)
        settle_.Set(loop_.clock().Now() + kQuiet, [this] { Settle(); });
      if ((event.mask & (IN_IGNORED | IN_DELETE_SELF | IN_MOVE_SELF)) != 0) {
        OnFolderGone(event.wd);
        continue;
      }
      const auto folder = folders_.find(event.wd);
      if (folder == folders_.end()) continue;
      bool ours = folder->second.names.contains(name);
      for (const std::string& suffix : folder->second.suffixes) {
        if (!name.ends_with(suffix) || name.starts_with('.')) continue;
        if ((event.mask & (IN_CLOSE_WRITE | IN_MOVED_TO)) == 0) continue;
        by_suffix_.insert(folder->second.path + '/' + name);
        ours = true;
      }
      if (!ours) continue;
      const bool writing = (event.mask & ~kUnfinished) == 0;
      settle_.Set(loop_.clock().Now() + (writing ? Duration(kWriting) : Duration(kQuiet)),
                  [this] { Settle(); });
    }
  }
}

void FileWatch::OnFolderGone(int descriptor) {
  const auto found = folders_.find(descriptor);
  if (found == folders_.end()) return;
  lost_.push_back(std::move(found->second));
  folders_.erase(found);
  inotify_rm_watch(inotify_.get(), descriptor);  // where it was only moved away
  retry_.Set(loop_.clock().Now() + kRetry, [this] { Settle(); });
}

void FileWatch::Settle() {
  for (Folder& folder : std::exchange(lost_, {})) {
    Folder* again = nullptr;
    if (WatchFolder(folder.path, &again).ok()) {
      *again = std::move(folder);
    } else {
      lost_.push_back(std::move(folder));
    }
  }
  if (!lost_.empty()) retry_.Set(loop_.clock().Now() + kRetry, [this] { Settle(); });

  std::set<std::string> changed = std::exchange(by_suffix_, {});
  for (auto& [path, before] : files_) {
    const Look now = LookAt(path);
    if (!now.there || now == before) continue;
    before = now;
    changed.insert(path);
  }
  if (!changed.empty()) changed_(changed);
}

}  // namespace plugind::pluginctl
