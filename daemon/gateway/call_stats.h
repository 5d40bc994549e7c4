// What calls are counted into: one series for each plugin, kind of caller and method, in slots of
// each gateway thread's own. The thread counts without a lock; a reader adds the threads' slots up.
// Series are never removed, and bounded in number: names come from callers.
#pragma once

#include <array>
#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "daemon/gateway/caller.h"
#include "daemon/gateway/histogram.h"
#include "daemon/gateway/outcome.h"

namespace plugind::gateway {

struct CallSeries {
  CallSeries(std::string plugin_, Caller::Kind kind_, std::string method_)
      : plugin(std::move(plugin_)), kind(kind_), method(std::move(method_)) {}

  const std::string plugin;  // "" for what names none
  const Caller::Kind kind;
  const std::string method;  // "/pkg.Service/Method"; "(other)" beyond the bound

  Counter admitted;  // admitted - Σ ended = in flight
  std::array<Counter, kOutcomes.size()> ended;
  Counter request_bytes;  // of bodies: gRPC's messages with their prefixes
  Counter response_bytes;
  Counter resent;     // sent to a plugin once more
  Histogram latency;  // from the request's headers to its end

  // Bodies of this method have been long, and whoever received them kept up: the next one begins
  // with the large window instead of stopping at the small one. For the owning thread alone.
  bool long_requests = false;
  bool long_answers = false;

  uint64_t Ended(Outcome outcome) const { return ended[static_cast<size_t>(outcome)].value(); }
};

class CallStats {
 public:
  static constexpr size_t kMaxSeries = 4096;
  static constexpr size_t kMaxMethods = 256;  // of one plugin and kind of caller

  CallStats() = default;
  CallStats(const CallStats&) = delete;
  CallStats& operator=(const CallStats&) = delete;
  ~CallStats();

  // The owning thread's; lives as long as this.
  CallSeries& Series(std::string_view plugin, Caller::Kind kind, std::string_view method);

  // Any thread; what is being made meanwhile may be left out.
  void Each(const std::function<void(const CallSeries&)>& visit) const;

 private:
  CallSeries& Make(const std::string& key, std::string_view plugin, Caller::Kind kind,
                   std::string_view method);

  std::unordered_map<std::string, CallSeries*> by_key_;
  std::unordered_map<std::string, size_t> methods_;  // by plugin and kind
  std::string scratch_;
  std::array<std::atomic<CallSeries*>, kMaxSeries + 1> series_{};  // and one for what is beyond
  std::atomic<size_t> size_{0};
};

}  // namespace plugind::gateway
