// One of plugind's listening sockets: bound once, and kept with the keeper across plugind's deaths,
// so that who connects meanwhile waits in its backlog. Who accepts on it is somebody else's matter.
#pragma once

#include <string>

#include "daemon/base/custody.h"
#include "daemon/base/status.h"
#include "daemon/base/unique_fd.h"

namespace plugind {

class ListeningSocket {
 public:
  // `inherited`: what an earlier plugind left with the keeper under `name`, or invalid. Binds
  // `path`, which nobody else uses (the lock on the runtime directory is held), unless that one
  // still is what the path leads to. Everybody may connect who can reach the path: the gateway asks
  // the kernel who it is, and tells those without a right so.
  static absl::StatusOr<ListeningSocket> Open(std::string path, std::string name,
                                              UniqueFd inherited, Keeper& keeper);

  const UniqueFd& fd() const { return fd_; }
  const std::string& path() const { return path_; }
  // An orderly end: no file, and nothing kept.
  void Remove(Keeper& keeper);

 private:
  ListeningSocket(std::string path, std::string name, UniqueFd fd)
      : path_(std::move(path)), name_(std::move(name)), fd_(std::move(fd)) {}

  std::string path_;
  std::string name_;
  UniqueFd fd_;
};

}  // namespace plugind
