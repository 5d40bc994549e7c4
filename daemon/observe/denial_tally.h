// Bounds what a flood of denials can write, without losing count. The first of its kind (caller,
// plugin, method, reason) is a line of its own; equal ones are counted until the next summary, and
// so are the many kinds that a caller makes up. Lines without `repeated`, and the sum of
// `repeated`, are all denials there were.
//
// Any thread: the gateway's threads add, the supervisor's loop takes.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <tuple>
#include <vector>

#include "daemon/base/mutex.h"

namespace plugind::observe {

struct Denial {
  std::string caller;  // "uid:1000", "plugin:frontend"
  int pid = 0;
  std::string method;
  std::string plugin;
  std::string reason;
};

class DenialTally {
 public:
  static constexpr size_t kKindsOfACaller = 16;
  static constexpr size_t kKinds = 256;

  struct Line {
    Denial denial;
    uint64_t repeated = 0;  // 0: this one denial; otherwise so many more, of which it was the first
  };

  // True: there is a line to be taken with TakeFirsts, soon.
  bool Add(const Denial& denial) PLUGIND_EXCLUDES(mutex_);
  // The first ones that have not been taken yet.
  std::vector<Line> TakeFirsts() PLUGIND_EXCLUDES(mutex_);
  // Those, then the summaries; all kinds are new from then on.
  std::vector<Line> TakeAll() PLUGIND_EXCLUDES(mutex_);

 private:
  struct Kind {
    std::string caller, plugin, method, reason;
    bool operator<(const Kind& other) const {
      return std::tie(caller, plugin, method, reason) <
             std::tie(other.caller, other.plugin, other.method, other.reason);
    }
  };
  struct Count {
    int pid = 0;  // of the first
    uint64_t repeated = 0;
  };

  Mutex mutex_;
  std::map<Kind, Count> counts_ PLUGIND_GUARDED_BY(mutex_);
  std::map<std::string, size_t> kinds_of_ PLUGIND_GUARDED_BY(mutex_);
  std::vector<Line> firsts_ PLUGIND_GUARDED_BY(mutex_);
};

}  // namespace plugind::observe
