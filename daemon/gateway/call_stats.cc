#include "daemon/gateway/call_stats.h"

namespace plugind::gateway {
namespace {

constexpr char kOther[] = "(other)";

void MakeKey(std::string& key, std::string_view plugin, Caller::Kind kind,
             std::string_view method) {
  key.assign(plugin);
  key.push_back(static_cast<char>(kind));
  key.append(method);
}

}  // namespace

CallStats::~CallStats() {
  for (size_t i = 0; i < size_.load(); ++i) delete series_[i].load();
}

CallSeries& CallStats::Series(std::string_view plugin, Caller::Kind kind, std::string_view method) {
  MakeKey(scratch_, plugin, kind, method);
  if (const auto found = by_key_.find(scratch_); found != by_key_.end()) return *found->second;
  MakeKey(scratch_, plugin, kind, "");
  if (++methods_[scratch_] > kMaxMethods || size_.load(std::memory_order_relaxed) >= kMaxSeries) {
    // The bound on plugins' names is the configuration, so only methods are folded together; should
    // the whole be full, all that is new is one series.
    --methods_[scratch_];
    method = kOther;
    if (size_.load(std::memory_order_relaxed) >= kMaxSeries) plugin = kOther;
    MakeKey(scratch_, plugin, kind, method);
    if (const auto found = by_key_.find(scratch_); found != by_key_.end()) return *found->second;
    if (size_.load(std::memory_order_relaxed) > kMaxSeries) return *series_[kMaxSeries].load();
    return Make(scratch_, plugin, kind, method);
  }
  MakeKey(scratch_, plugin, kind, method);
  return Make(scratch_, plugin, kind, method);
}

CallSeries& CallStats::Make(const std::string& key, std::string_view plugin, Caller::Kind kind,
                            std::string_view method) {
  auto series = std::make_unique<CallSeries>(std::string(plugin), kind, std::string(method));
  by_key_.emplace(key, series.get());
  const size_t index = size_.load(std::memory_order_relaxed);
  series_[index].store(series.get(), std::memory_order_relaxed);
  size_.store(index + 1, std::memory_order_release);
  return *series.release();
}

void CallStats::Each(const std::function<void(const CallSeries&)>& visit) const {
  const size_t size = size_.load(std::memory_order_acquire);
  for (size_t i = 0; i < size; ++i) visit(*series_[i].load(std::memory_order_relaxed));
}

}  // namespace plugind::gateway
