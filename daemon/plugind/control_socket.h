// plugind.sock: binds it once, keeps it with the keeper across plugind's deaths, accepts, and asks
// the kernel who connects. Owned by Daemon; on the supervisor's loop.
#pragma once

#include <functional>
#include <string>

#include "daemon/base/custody.h"
#include "daemon/base/event_loop.h"
#include "daemon/base/status.h"
#include "daemon/base/unique_fd.h"

namespace plugind {

class ControlSocket {
 public:
  using OnConnection = std::function<void(UniqueFd connection, uint32_t uid)>;

  // `inherited`: the listener that an earlier plugind left with the keeper, or invalid. Binds
  // RUNTIME/plugind.sock, mode 0660, unless that one still is what the path leads to.
  static absl::StatusOr<ControlSocket> Open(const std::string& runtime_dir, UniqueFd inherited,
                                            Keeper& keeper);

  void Listen(EventLoop& loop, OnConnection on_connection);
  // No more connections, and no file: an orderly end.
  void Remove(EventLoop& loop);

 private:
  ControlSocket(std::string path, UniqueFd listener)
      : path_(std::move(path)), listener_(std::move(listener)) {}
  void Accept(EventLoop& loop);

  std::string path_;
  UniqueFd listener_;
  OnConnection on_connection_;
};

}  // namespace plugind
