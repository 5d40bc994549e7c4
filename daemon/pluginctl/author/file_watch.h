// Tells when files have changed, once they are left alone: a linker or an editor writes in several
// steps. Folders are watched rather than files, because both often put a new file in the place of
// the old one.
//
// Belongs to the thread of its loop, which outlives it.
#pragma once

#include <absl/status/status.h>
#include <sys/stat.h>

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "daemon/base/event_loop.h"
#include "daemon/base/unique_fd.h"

namespace plugind::pluginctl {

class FileWatch {
 public:
  // `changed` gets the paths as they were given to Add. A file that has vanished is not a change;
  // its return is.
  using Changed = std::function<void(const std::set<std::string>& paths)>;

  FileWatch(EventLoop& loop, Changed changed);
  FileWatch(const FileWatch&) = delete;
  FileWatch& operator=(const FileWatch&) = delete;
  ~FileWatch();

  // `path` is absolute. It need not exist, but its folder must.
  absl::Status Add(const std::string& path);
  // Every file of that folder whose name ends so; told by its own path.
  absl::Status AddSuffix(const std::string& folder, const std::string& suffix);

 private:
  struct Look {
    bool there = false;
    ino_t inode = 0;
    off_t size = 0;
    timespec written{};
    mode_t mode = 0;
    bool operator==(const Look& other) const;
  };
  struct Folder {
    std::string path;
    std::set<std::string> names;
    std::set<std::string> suffixes;
  };

  static Look LookAt(const std::string& path);
  absl::Status Open();
  absl::Status WatchFolder(const std::string& path, Folder** folder);
  void OnReadable();
  void OnFolderGone(int descriptor);
  void Settle();

  EventLoop& loop_;
  const Changed changed_;
  UniqueFd inotify_;
  std::map<int, Folder> folders_;  // by watch descriptor
  std::map<std::string, Look> files_;
  std::set<std::string> by_suffix_;  // seen since the last report
  std::vector<Folder> lost_;         // folders that were removed, to be watched again
  plugind::Deadline settle_;
  plugind::Deadline retry_;
};

}  // namespace plugind::pluginctl
