#include "daemon/plugind/call_report.h"

namespace plugind {
namespace {

using gateway::CallTotals;
using gateway::Histogram;
using gateway::Outcome;
namespace v1 = control::v1;

v1::CallStats::Caller ToProto(gateway::Caller::Kind kind) {
  switch (kind) {
    case gateway::Caller::Kind::kUser:
      return v1::CallStats::USER;
    case gateway::Caller::Kind::kPlugin:
      return v1::CallStats::PLUGIN;
  }
  return v1::CallStats::CALLER_UNSPECIFIED;
}

void SetEnded(Outcome outcome, uint64_t count, v1::CallStats* to) {
  switch (outcome) {
    case Outcome::kOk:
      return to->set_ok(count);
    case Outcome::kError:
      return to->set_error(count);
    case Outcome::kRejected:
      return to->set_rejected(count);
    case Outcome::kCancelled:
      return to->set_cancelled(count);
    case Outcome::kDeadline:
      return to->set_deadline_exceeded(count);
    case Outcome::kNotExecuted:
      return to->set_unavailable_not_executed(count);
    case Outcome::kMaybeExecuted:
      return to->set_unavailable_maybe_executed(count);
  }
}

void FillLatency(const CallTotals& from, v1::CallLatency* to) {
  FillDuration(from.latency_sum, to->mutable_sum());
  size_t used = from.latency.size();
  while (used > 0 && from.latency[used - 1] == 0) --used;
  if (used == 0) return;
  for (size_t i = 0; i < used; ++i) to->add_counts(from.latency[i]);
  FillDuration(from.Latency(0.5), to->mutable_p50());
  FillDuration(from.Latency(0.9), to->mutable_p90());
  FillDuration(from.Latency(0.99), to->mutable_p99());
}

}  // namespace

void FillCalls(const std::vector<CallTotals>& from, const std::string& plugin,
               v1::ListCallsResponse* to) {
  for (size_t bucket = 0; bucket + 1 < Histogram::kBuckets; ++bucket) {
    to->add_bucket_bounds_ns(static_cast<uint64_t>(Histogram::UpperBound(bucket).count()));
  }
  for (const CallTotals& totals : from) {
    if (!plugin.empty() && totals.plugin != plugin) continue;
    v1::CallStats* const stats = to->add_calls();
    stats->set_plugin(totals.plugin);
    stats->set_caller(ToProto(totals.kind));
    stats->set_method(totals.method);
    stats->set_started(totals.admitted);
    stats->set_in_flight(totals.InFlight());
    for (const Outcome outcome : gateway::kOutcomes) {
      SetEnded(outcome, totals.ended[static_cast<size_t>(outcome)], stats);
    }
    stats->set_request_bytes(totals.request_bytes);
    stats->set_response_bytes(totals.response_bytes);
    stats->set_resent(totals.resent);
    FillLatency(totals, stats->mutable_latency());
  }
}

void FillDuration(Duration from, google::protobuf::Duration* to) {
  constexpr Duration::rep kNano = 1'000'000'000;
  to->set_seconds(from.count() / kNano);
  to->set_nanos(static_cast<int32_t>(from.count() % kNano));
}

}  // namespace plugind
