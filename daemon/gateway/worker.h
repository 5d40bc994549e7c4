// One gateway thread: its epoll set, the connections that it accepted or opened, their calls'
// timers and counters. Everything but Post() and Stop() belongs to that thread.
//
// A round: read from whatever is ready, which hands calls from session to session; then write out
// what every session has to say. What was read stays in the receive area until the round is over,
// so that bodies go out by reference.
#pragma once

#include <sys/epoll.h>

#include <cstddef>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "daemon/base/clock.h"
#include "daemon/base/mutex.h"
#include "daemon/base/timer_queue.h"
#include "daemon/base/unique_fd.h"
#include "daemon/gateway/call_stats.h"
#include "daemon/gateway/call_timers.h"
#include "daemon/gateway/route_table.h"
#include "daemon/gateway/shared.h"
#include "daemon/gateway/spin.h"

namespace plugind::gateway {

class Call;
class Connection;
class PluginConnection;

// Something in the epoll set.
class EpollTarget {
 public:
  virtual ~EpollTarget() = default;
  virtual void OnReady(uint32_t events) = 0;
};

class Worker {
 public:
  // `shared` and `clock` outlive it. Dies with a message when the kernel refuses an epoll set.
  Worker(Shared& shared, const Clock& clock);
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;
  // The thread has ended. Every call that is left ends as cancelled.
  ~Worker();

  void Run();
  // One round that waits for nothing, in place of Run(): for tests.
  void RunOnce() { Round(false); }
  // Any thread.
  void Post(std::function<void()> work) PLUGIND_EXCLUDES(mutex_);
  void Stop();
  const CallStats& stats() const { return stats_; }

  // ── On the thread

  Shared& shared() { return shared_; }
  CallStats& mutable_stats() { return stats_; }
  TimerQueue& timers() { return timers_; }
  CallTimers& call_timers() { return call_timers_; }
  // Of this round: good for deadlines. Measure with Now().
  Instant round() const { return round_; }
  Instant Now() const { return clock_.Now(); }

  const RouteTable& routes() const { return *routes_; }
  void TakeRoutes(RouteTablePtr routes);

  // Edge-triggered unless said otherwise. `target` stays until Unwatch().
  bool Watch(int fd, uint32_t events, EpollTarget& target);
  void Rewatch(int fd, uint32_t events, EpollTarget& target);
  void Unwatch(int fd);

  // Owns `connection` until it is buried.
  void Adopt(std::unique_ptr<Connection> connection);
  // `connection` is closed: destroyed after this round. Its callbacks may still be on the stack.
  void Bury(Connection& connection);
  // Everything is said on `fd`. It is closed a second later: a peer that is still writing would
  // otherwise fail in that, and not read why it is hung up on.
  void Linger(UniqueFd fd);
  // It has something to write.
  void MarkDirty(Connection& connection);
  // It stopped reading before its socket was empty: it goes on in the next round.
  void ReadAgain(Connection& connection);
  // Room for one read. May write out everything first, because what lies there is in use until
  // then.
  std::span<char> ReceiveArea();
  void Received(size_t bytes) { received_ += bytes; }

  Call& NewCall();
  // `call` has let go of both of its streams.
  void Release(Call& call);
  // It has borrowed what lies in the receive area.
  void MarkUnsettled(Call& call);
  // Bytes of bodies of `caller`'s calls that are kept in memory. False: no more may be.
  bool Keep(const std::string& caller, ptrdiff_t bytes);
  ptrdiff_t kept() const { return kept_; }
  // Those whose streams are not both closed.
  size_t calls() const { return calls_.size() - free_calls_.size(); }

  // An open session with `instance` that takes one more stream; null, with the cause in `error`,
  // when none can be had.
  PluginConnection* Connect(const InstancePtr& instance, std::string* error);
  void Disconnected(PluginConnection& connection);

  // `call` waits for its plugin; Resume()d when the routes change. False: too many wait already.
  bool Hold(Call& call, const std::string& plugin);
  void Unhold(Call& call, const std::string& plugin);

 private:
  void Round(bool block);
  void Wait(bool block);
  void ReadOn();
  void RunPosted() PLUGIND_EXCLUDES(mutex_);
  void WriteOut();
  void ResumeHeld();
  void RetireUnrouted();
  void EndLingering();
  int SleepMilliseconds() const;

  Shared& shared_;
  const Clock& clock_;
  UniqueFd epoll_;
  UniqueFd wake_;
  TimerQueue timers_;
  CallTimers call_timers_;
  CallStats stats_;
  RouteTablePtr routes_;
  Spin spin_;
  Instant round_;
  bool stopping_ = false;

  std::vector<epoll_event> events_;
  std::unique_ptr<char[]> area_;
  size_t received_ = 0;
  ptrdiff_t kept_ = 0;
  std::unordered_map<std::string, ptrdiff_t> kept_by_;  // by caller, where it is not 0

  std::map<Connection*, std::unique_ptr<Connection>> connections_;
  std::vector<std::unique_ptr<Connection>> graveyard_;
  std::deque<std::pair<Instant, UniqueFd>> lingering_;  // with their ends, in order
  Deadline linger_;
  std::vector<Connection*> dirty_;
  std::vector<Connection*> writing_;
  std::vector<Connection*> again_;
  std::vector<Connection*> resuming_;
  std::map<const Instance*, std::vector<PluginConnection*>> pools_;
  std::vector<Call*> unsettled_;
  std::vector<Call*> settling_;
  std::vector<std::unique_ptr<Call>> calls_;  // all that were ever made at once
  std::vector<Call*> free_calls_;
  std::map<std::string, std::vector<Call*>> held_;
  bool routes_changed_ = false;

  Mutex mutex_;
  std::vector<std::function<void()>> posted_ PLUGIND_GUARDED_BY(mutex_);
};

}  // namespace plugind::gateway
