// The keeper's program: one life of plugind after the other, the signals that go to it, and the end
// of everything.
//
//   (start) ──► alive ──Ready──► serving ──► dead ──► waiting ──► alive …
//                                             └── the last life ──► ended
//
// dead: what it had commanded is done, so that its successor hears of it. waiting: for the restart
// delay, and for spawns that are between fork and exec. One thread.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "daemon/base/event_loop.h"
#include "daemon/base/timer_queue.h"
#include "daemon/keeper/brain.h"
#include "daemon/keeper/cgroup.h"
#include "daemon/keeper/last_will.h"
#include "daemon/keeper/process_table.h"
#include "daemon/keeper/restart_delay.h"
#include "daemon/keeper/session.h"

namespace plugind::keeper {

class KeeperProgram {
 public:
  // `command`: plugind's absolute path and arguments. The signals of kSignals must be blocked.
  KeeperProgram(std::vector<std::string> command, const Clock& clock);
  ~KeeperProgram();

  // Until plugind has ended for good and nothing of any plugin is left. The exit code.
  int Run();

 private:
  enum class Phase : uint8_t {
    kDead,     // not started yet, or just ended
    kWaiting,  // for the next start
    kAlive,    // started, not serving yet
    kServing,  // it said Ready
    kEnded,
  };

  void Start();
  void StartAfter(Duration delay);
  void StartWhenSettled();
  void OnReady();
  void OnSocketClosed();
  void OnBrainDeath();
  void OnSignals();
  void StopRequested(int signal);
  // The end: with this exit code, once all is killed.
  void End(int code);
  void KillEverything();

  const std::vector<std::string> command_;
  const UniqueFd signals_;
  const LaunchContext launch_;  // after signals_: it holds what is ignored from then on
  EventLoop loop_;
  std::unique_ptr<Cgroup> cgroup_;
  std::optional<LastWill> will_;  // where there is a cgroup
  ProcessTable processes_;
  Vault vault_;

  Phase phase_ = Phase::kDead;
  std::unique_ptr<Brain> brain_;
  std::unique_ptr<Session> session_;
  uint32_t generation_ = 0;
  bool has_served_ = false;  // in any life
  bool stopping_ = false;
  Instant serving_since_;
  RestartDelay delay_;
  Instant start_at_;      // while waiting
  Instant settle_until_;  // while waiting
  Deadline start_;
  Deadline stop_bound_;
  Deadline hung_up_;
  int stop_signal_ = 0;  // to be forwarded when it serves
  bool hangup_ = false;  // likewise
  int exit_code_ = 0;
};

}  // namespace plugind::keeper
