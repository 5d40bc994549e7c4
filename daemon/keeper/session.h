// The conversation with one life of plugind: greets it with everything that outlived the last one,
// then tells it what happens and does what it commands. Made when plugind is started, ended when it
// is dead. Never blocks on it. One thread.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>

#include "daemon/base/event_loop.h"
#include "daemon/base/timer_queue.h"
#include "daemon/base/unique_fd.h"
#include "daemon/keeper/channel.h"
#include "daemon/keeper/process_table.h"
#include "daemon/keeper/protocol.h"

namespace plugind::keeper {

inline constexpr size_t kMaxKept = 8192;  // records, and fds

// What the keeper holds for plugind beside its processes.
struct Vault {
  std::map<std::string, std::string> records;
  std::map<std::string, UniqueFd> fds;
};

class Session {
 public:
  struct Callbacks {
    std::function<void()> ready;
    std::function<void()> begin_stop;
    std::function<void()> closed;  // by plugind, though it lives
  };

  // All references outlive the session.
  Session(UniqueFd socket, EventLoop& loop, ProcessTable& processes, Vault& vault, Welcome welcome,
          Callbacks callbacks);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  // Sends what there is to tell, as far as the socket takes it; the rest when it takes more.
  void Flush();
  // plugind is dead: does everything that it had commanded before.
  void Drain();

 private:
  enum class Greeting : uint8_t {
    kWelcome,
    kProcesses,
    kRecords,
    kFds,
    kDone,
  };

  void Receive();
  void Execute(const Command& command);
  // False: the socket takes no more for now.
  bool Send(const Report& report, int first_fd = -1, int second_fd = -1);
  bool SendGreeting();
  void Watch(bool for_room);

  const UniqueFd socket_;
  EventLoop& loop_;
  ProcessTable& processes_;
  Vault& vault_;
  const Welcome welcome_;
  const Callbacks callbacks_;
  PacketReader packets_;
  Greeting greeting_ = Greeting::kWelcome;
  std::string greeted_up_to_;  // the last key of the map that is being handed over
  Deadline retry_;
  bool waits_for_room_ = false;
};

}  // namespace plugind::keeper
