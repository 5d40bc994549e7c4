// A listening socket in one worker's epoll set: accepts, asks the kernel who it is, and opens a
// CallerConnection. On its worker's thread only.
#pragma once

#include <memory>

#include "daemon/base/unique_fd.h"
#include "daemon/gateway/door.h"
#include "daemon/gateway/worker.h"

namespace plugind::gateway {

class Listener final : public EpollTarget {
 public:
  // `listening` is non-blocking.
  Listener(Worker& worker, UniqueFd listening, std::shared_ptr<const Door> door);
  ~Listener() override;

  void OnReady(uint32_t events) override;

 private:
  void Accept(UniqueFd connection);
  void TellDenied(const Caller& caller, const std::string& why);
  void Pause();
  void Watch();

  Worker& worker_;
  const UniqueFd listening_;
  const std::shared_ptr<const Door> door_;
  Deadline pause_;
};

}  // namespace plugind::gateway
