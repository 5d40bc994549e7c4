// plugind's end of the keeper: sends commands, and turns what the keeper reports into calls of an
// observer on the loop. Owned by main; lives on the supervisor's loop. No observer's call destroys
// it.
//
// Commands are small and the keeper never stops reading, so sending one may sleep, but not for
// long. Once the keeper is lost they do nothing: the kernel kills this process too.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "daemon/base/custody.h"
#include "daemon/base/event_loop.h"
#include "daemon/base/unique_fd.h"
#include "daemon/keeper/channel.h"
#include "daemon/keeper/protocol.h"

namespace plugind::keeper {

// The fd that a plugind started by the keeper finds its socket at, and the variable that says so.
inline constexpr int kSocketFd = 3;
inline constexpr char kSocketVariable[] = "PLUGIND_KEEPER_FD";

class Client final : public Keeper {
 public:
  // Takes the keeper's greeting from `socket`, blocking: everything that outlived the previous
  // plugind. A failure is the protocol's (another version of the keeper, a truncated message):
  // `error` says what, and null is returned.
  static std::unique_ptr<Client> Connect(UniqueFd socket, EventLoop& loop, Inheritance* inheritance,
                                         std::string* error);
  ~Client() override;

  // Reports go to `observer` from the next round of the loop on. Once; before it nothing is read.
  void Observe(KeeperObserver& observer);
  // plugind serves: from here on the keeper starts it again when it ends. Before, its end is the
  // keeper's.
  void Ready();

  void Spawn(const SpawnSpec& spec, const UniqueFd& executable) override;
  void Signal(std::string_view id, int signal) override;
  void KillTree(std::string_view id) override;
  void Forget(std::string_view id) override;
  void PutRecord(std::string_view name, std::string_view bytes) override;
  void DropRecord(std::string_view name) override;
  void KeepFd(std::string_view name, const UniqueFd& fd) override;
  void DropFd(std::string_view name) override;
  void BeginStop() override;

 private:
  Client(UniqueFd socket, EventLoop& loop);
  bool ReadGreeting(Inheritance* inheritance, std::string* error);
  void Send(const Command& command, const UniqueFd* fd = nullptr);
  void Receive();
  void Deliver(const Report& report);
  void Lose();

  UniqueFd socket_;
  EventLoop& loop_;
  KeeperObserver* observer_ = nullptr;
  PacketReader packets_;
};

}  // namespace plugind::keeper
