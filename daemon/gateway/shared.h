// What the gateway's threads have in common, and what they tell. Outlives them.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <unordered_map>

#include "daemon/base/clock.h"
#include "daemon/base/mutex.h"
#include "daemon/gateway/caller.h"
#include "daemon/gateway/limits.h"
#include "daemon/gateway/outcome.h"

namespace plugind::gateway {

// Open connections by caller ("uid:1000", "plugin:kv"), so that none can take them all. Any thread.
class ConnectionCensus {
 public:
  explicit ConnectionCensus(uint32_t limit) : limit_(limit) {}
  // False: that caller has as many as it may have.
  bool Enter(const std::string& caller) PLUGIND_EXCLUDES(mutex_) {
    const MutexLock lock(mutex_);
    uint32_t& count = open_[caller];
    if (count >= limit_) return false;
    ++count;
    return true;
  }
  void Leave(const std::string& caller) PLUGIND_EXCLUDES(mutex_) {
    const MutexLock lock(mutex_);
    const auto found = open_.find(caller);
    if (--found->second == 0) open_.erase(found);
  }

 private:
  const uint32_t limit_;
  Mutex mutex_;
  std::unordered_map<std::string, uint32_t> open_ PLUGIND_GUARDED_BY(mutex_);
};

// A call, or the attempt at one, that was denied.
struct Denied {
  std::string caller;  // "uid:1000", "plugin:frontend"
  int pid = 0;         // of who connected
  std::string plugin;
  std::string method;  // as it was asked for
  std::string reason;
};

// A call that has ended.
struct CallEnd {
  std::string_view caller;
  std::string_view plugin;
  std::string_view method;
  Outcome outcome = Outcome::kOk;
  int code = 0;  // gRPC's
  Duration duration = Duration::zero();
  std::string_view trace;   // the trace's id
  std::string_view detail;  // of those that the gateway ended
};

// What the gateway tells; on the gateway's threads, so they post.
struct Told {
  std::function<void(const Denied&)> denied;
  std::function<void(const CallEnd&)> ended;
};

struct Shared {
  explicit Shared(const Limits& limits_)
      : limits(limits_), census(limits_.connections_per_caller) {}
  const Limits limits;
  ConnectionCensus census;
  Told told;
};

}  // namespace plugind::gateway
