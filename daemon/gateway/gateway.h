// The front door: listeners, threads, and the table by which calls find their plugins. Main builds
// it; every method belongs to the supervisor's thread unless said otherwise.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "daemon/base/clock.h"
#include "daemon/base/unique_fd.h"
#include "daemon/gateway/call_stats.h"
#include "daemon/gateway/door.h"
#include "daemon/gateway/route_table.h"
#include "daemon/gateway/shared.h"

namespace plugind::gateway {

class Listener;
class Worker;

class Gateway {
 public:
  // `threads` ≥ 1. `clock` outlives it. `told`: called on the gateway's threads.
  Gateway(uint32_t threads, const Limits& limits, const Clock& clock, Told told);
  Gateway(const Gateway&) = delete;
  Gateway& operator=(const Gateway&) = delete;
  // Ends every call that is left and joins the threads.
  ~Gateway();

  // From now on (each thread takes it up by itself, soon) calls go by `routes`.
  void Publish(const RouteTablePtr& routes);
  // `instance` has left the published routes: its `drained` is called once, when no call is in
  // flight there any more.
  void Drain(const InstancePtr& instance);
  // Returns when every thread has taken up what was published and asked for before.
  void Settle();
  // Accepts on a duplicate of `listening`, under a name of the caller's choice; replaces an earlier
  // listener of that name. False when there is no fd for it.
  bool Listen(const std::string& name, const UniqueFd& listening, Door door);
  // Those that are connected stay.
  void StopListening(const std::string& name);

  // All threads' series, one after another: equal ones are to be added up. Any thread.
  void EachSeries(const std::function<void(const CallSeries&)>& visit) const;

 private:
  Shared shared_;
  std::vector<std::unique_ptr<Worker>> workers_;
  std::vector<std::thread> threads_;
  // On their workers' threads; removed there.
  std::map<std::string, std::vector<std::shared_ptr<std::unique_ptr<Listener>>>> listeners_;
};

}  // namespace plugind::gateway
