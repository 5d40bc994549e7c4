#include "daemon/pluginctl/traffic.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <tuple>

#include "daemon/base/quantile.h"

namespace plugind::pluginctl {
namespace {

using Key = std::tuple<std::string, int, std::string>;

double Seconds(const google::protobuf::Duration& duration) {
  return static_cast<double>(duration.seconds()) + duration.nanos() / 1e9;
}

Key KeyOf(const v1::CallStats& stats) { return {stats.plugin(), stats.caller(), stats.method()}; }

std::string CallerName(v1::CallStats::Caller caller) {
  switch (caller) {
    case v1::CallStats::USER:
      return "user";
    case v1::CallStats::PLUGIN:
      return "plugin";
    default:  // known only to a newer daemon
      return std::to_string(caller);
  }
}

// A counter never goes back within one process of plugind.
uint64_t Since(uint64_t before, uint64_t now) { return now > before ? now - before : 0; }

struct Sum {
  TrafficRow row;
  std::vector<uint64_t> counts;
};

void Add(Sum& sum, const v1::CallStats& before, const v1::CallStats& now) {
  TrafficRow& row = sum.row;
  row.in_flight += now.in_flight();
  row.started += Since(before.started(), now.started());
  row.ok += Since(before.ok(), now.ok());
  row.error += Since(before.error(), now.error());
  row.rejected += Since(before.rejected(), now.rejected());
  row.cancelled += Since(before.cancelled(), now.cancelled());
  row.deadline_exceeded += Since(before.deadline_exceeded(), now.deadline_exceeded());
  row.unavailable_not_executed +=
      Since(before.unavailable_not_executed(), now.unavailable_not_executed());
  row.unavailable_maybe_executed +=
      Since(before.unavailable_maybe_executed(), now.unavailable_maybe_executed());
  row.request_bytes += Since(before.request_bytes(), now.request_bytes());
  row.response_bytes += Since(before.response_bytes(), now.response_bytes());
  row.resent += Since(before.resent(), now.resent());
  const auto& counts = now.latency().counts();
  sum.counts.resize(std::max(sum.counts.size(), static_cast<size_t>(counts.size())));
  for (int i = 0; i < counts.size(); ++i) {
    const uint64_t earlier = i < before.latency().counts_size() ? before.latency().counts(i) : 0;
    sum.counts[static_cast<size_t>(i)] += Since(earlier, counts[i]);
  }
}

std::optional<double> QuantileSeconds(const std::vector<uint64_t>& counts, double q,
                                      const v1::ListCallsResponse& bounds) {
  const size_t bucket = QuantileBucket(counts, q);
  if (bucket == counts.size() || bounds.bucket_bounds_ns_size() == 0) return std::nullopt;
  const int last = bounds.bucket_bounds_ns_size() - 1;
  const int at = std::min(static_cast<int>(bucket), last);
  return static_cast<double>(bounds.bucket_bounds_ns(at)) / 1e9;
}

nlohmann::ordered_json OrNull(const std::optional<double>& value) {
  return value ? nlohmann::ordered_json(*value) : nlohmann::ordered_json();
}

}  // namespace

uint64_t TrafficRow::Ended() const {
  return ok + error + rejected + cancelled + deadline_exceeded + Unavailable();
}

std::optional<double> TrafficRow::FailedShare() const {
  if (Ended() == 0) return std::nullopt;
  return static_cast<double>(Ended() - ok - cancelled) / static_cast<double>(Ended());
}

double Traffic::PerSecond(uint64_t count) const {
  return seconds > 0 ? static_cast<double>(count) / seconds : 0;
}

Traffic Compare(const v1::ListCallsResponse* before, const v1::ListCallsResponse& now,
                bool by_method) {
  Traffic traffic;
  const bool same = before != nullptr && before->since().seconds() == now.since().seconds() &&
                    before->since().nanos() == now.since().nanos();
  traffic.since_start = !same;
  traffic.seconds = Seconds(now.elapsed()) - (same ? Seconds(before->elapsed()) : 0);
  std::map<Key, const v1::CallStats*> earlier;
  if (same) {
    for (const v1::CallStats& stats : before->calls()) earlier.emplace(KeyOf(stats), &stats);
  }
  std::map<Key, Sum> sums;
  for (const v1::CallStats& stats : now.calls()) {
    Sum& sum = sums[by_method ? KeyOf(stats) : Key(stats.plugin(), 0, "")];
    sum.row.plugin = stats.plugin();
    if (by_method) {
      sum.row.caller = CallerName(stats.caller());
      sum.row.method = stats.method();
    }
    const auto found = earlier.find(KeyOf(stats));
    Add(sum, found == earlier.end() ? v1::CallStats::default_instance() : *found->second, stats);
  }
  for (auto& [key, sum] : sums) {
    sum.row.p50 = QuantileSeconds(sum.counts, 0.5, now);
    sum.row.p90 = QuantileSeconds(sum.counts, 0.9, now);
    sum.row.p99 = QuantileSeconds(sum.counts, 0.99, now);
    traffic.rows.push_back(std::move(sum.row));
  }
  std::ranges::stable_sort(traffic.rows, std::ranges::greater(), &TrafficRow::started);
  return traffic;
}

std::string TrafficJson(const Traffic& traffic, bool by_method) {
  nlohmann::ordered_json rows = nlohmann::ordered_json::array();
  for (const TrafficRow& row : traffic.rows) {
    nlohmann::ordered_json& to = rows.emplace_back();
    to["plugin"] = row.plugin;
    if (by_method) {
      to["caller"] = row.caller;
      to["method"] = row.method;
    }
    to["callsPerSecond"] = traffic.PerSecond(row.started);
    to["inFlight"] = row.in_flight;
    to["p50Seconds"] = OrNull(row.p50);
    to["p90Seconds"] = OrNull(row.p90);
    to["p99Seconds"] = OrNull(row.p99);
    to["failedShare"] = OrNull(row.FailedShare());
    to["requestBytesPerSecond"] = traffic.PerSecond(row.request_bytes);
    to["responseBytesPerSecond"] = traffic.PerSecond(row.response_bytes);
    to["started"] = row.started;
    to["ok"] = row.ok;
    to["error"] = row.error;
    to["rejected"] = row.rejected;
    to["cancelled"] = row.cancelled;
    to["deadlineExceeded"] = row.deadline_exceeded;
    to["unavailableNotExecuted"] = row.unavailable_not_executed;
    to["unavailableMaybeExecuted"] = row.unavailable_maybe_executed;
    to["requestBytes"] = row.request_bytes;
    to["responseBytes"] = row.response_bytes;
    to["resent"] = row.resent;
  }
  nlohmann::ordered_json document;
  document["seconds"] = traffic.seconds;
  document["sinceStart"] = traffic.since_start;
  document[by_method ? "methods" : "plugins"] = std::move(rows);
  return document.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

}  // namespace plugind::pluginctl
