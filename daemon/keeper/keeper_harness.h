// A real plugind-keeper under test. It starts keeper_test_program as its plugind, which hands over
// its socket; the test then plays plugind with a keeper::Client on that socket. One thread.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "daemon/base/custody.h"
#include "daemon/base/event_loop.h"
#include "daemon/keeper/client.h"

namespace plugind::keeper {

// Everything that was reported about one process.
struct Seen {
  int pid = 0;
  UniqueFd stdout_pipe, stderr_pipe;
  std::optional<std::pair<SpawnStep, int>> failed;
  std::optional<ExitStatus> exited;
  Instant exited_at;
  bool gone = false;
  std::vector<int> stuck;
};

class KeeperHarness : private KeeperObserver {
 public:
  explicit KeeperHarness(std::vector<std::string> environment = {});
  ~KeeperHarness() override;

  // The next life of plugind: its greeting. With `serve`, Ready is sent and reports are taken.
  Inheritance& AwaitBrain(bool serve = true);
  // The present life ends: by a signal, or with an exit code.
  void KillBrain(int signal = SIGKILL);
  void EndBrain(int code);
  // Something was reported, and is left in the socket.
  bool AwaitUnreadReport();
  // The test's own copy of plugind's socket.
  void CloseSocket() { client_.reset(); }
  // The next signal that plugind was sent.
  int AwaitBrainSignal();
  int AwaitKeeperExit();  // wait status

  // Runs the loop until `done`; fails the test after 10 s.
  [[nodiscard]] bool Until(const std::function<bool()>& done,
                           Duration limit = std::chrono::seconds(10));

  Client& client() { return *client_; }
  Seen& seen(const std::string& id) { return seen_[id]; }
  bool lost() const { return lost_; }
  int keeper_pid() const { return keeper_; }
  int brain_pid() const { return brain_; }
  const std::string& directory() const { return directory_; }
  std::string StandardError() const;

  // A spec for keeper_test_program in `mode`, or for any other command.
  static SpawnSpec Spec(const std::string& id, const std::string& mode);
  static SpawnSpec SpecFor(const std::string& id, const std::vector<std::string>& command);
  // Spawns, and waits for OnSpawned or OnSpawnFailed.
  Seen& Spawn(const SpawnSpec& spec, const UniqueFd& executable = UniqueFd());
  // All that comes from `fd` until its end, or until it holds `until`.
  std::string Read(const UniqueFd& fd, const std::string& until = "");

 private:
  void OnSpawned(std::string_view id, int pid, UniqueFd out, UniqueFd err) override;
  void OnSpawnFailed(std::string_view id, SpawnStep step, int error) override;
  void OnExited(std::string_view id, const ExitStatus& status, Instant at) override;
  void OnGone(std::string_view id) override;
  void OnStuck(std::string_view id, const std::vector<int>& remaining) override;
  void OnKeeperLost() override { lost_ = true; }

  SystemClock clock_;
  EventLoop loop_{clock_};
  std::string directory_;
  UniqueFd listener_, control_;
  int socket_ = -1;  // the client's
  int keeper_ = 0, brain_ = 0;
  Inheritance inheritance_;
  std::unique_ptr<Client> client_;
  std::map<std::string, Seen> seen_;
  bool lost_ = false;
};

// Whether there is such a process, zombies not counted.
bool IsAlive(int pid);
std::vector<int> LiveDescendants(int pid);

}  // namespace plugind::keeper
