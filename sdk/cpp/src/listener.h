// UnixListener owns a listening Unix socket and a thread that hands each accepted connection on.
// gRPC must not own it: gRPC 1.51 stops listening for good at its first EMFILE, and unlinks the
// path at shutdown even when another process has bound it since. Here a shortage of fds delays new
// connections, and only our own socket file is removed.
#pragma once

#include <sys/types.h>

#include <functional>
#include <string>
#include <thread>

#include "sdk/cpp/src/fd.h"

namespace plugind::sdk {

class UnixListener {
 public:
  // Binds and listens; connections queue in the kernel from here on. `directory` exists. `name`
  // empty: a random one, which is right for a directory that others share. `group`, a name or a
  // gid, may connect too; empty: only our uid. Throws Failure.
  UnixListener(const std::string& directory, const std::string& name, const std::string& group);
  ~UnixListener();
  UnixListener(const UnixListener&) = delete;
  UnixListener& operator=(const UnixListener&) = delete;

  const std::string& path() const { return path_; }

  // Starts the thread. `handler` gets each connection, non-blocking and close-on-exec, and owns it.
  void Start(std::function<void(int fd)> handler);

  // Ends the thread, closes the socket and removes its file if it is still ours. Idempotent.
  void Stop();

 private:
  void Bind(const std::string& directory, const std::string& name);
  void Grant(const std::string& group);
  void Run();

  std::string path_;
  Fd socket_;
  Fd wake_;  // eventfd: written once, by Stop
  dev_t device_ = 0;
  ino_t inode_ = 0;
  std::function<void(int fd)> handler_;
  std::thread thread_;
};

}  // namespace plugind::sdk
