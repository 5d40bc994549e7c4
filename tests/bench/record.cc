// What it costs a gateway thread to count one call: find its series, admit it, count its bytes both
// ways, end it and record how long it took; beside a second thread that reads, as a scrape does.
// Run by run.sh record.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <string>
#include <thread>
#include <vector>

#include "daemon/gateway/call_stats.h"
#include "daemon/gateway/call_totals.h"

namespace {

using plugind::Duration;
using plugind::gateway::AddUp;
using plugind::gateway::Caller;
using plugind::gateway::CallSeries;
using plugind::gateway::CallStats;
using plugind::gateway::Outcome;
using plugind::gateway::SeriesVisit;

constexpr int kMethods = 16;
constexpr int kRounds = 101;
constexpr int kCalls = 20'000;  // of a round

void Count(CallSeries& series, int i) {
  series.admitted.Add(1);
  series.request_bytes.Add(21);
  series.response_bytes.Add(64);
  series.ended[static_cast<size_t>(Outcome::kOk)].Add(1);
  series.latency.Record(Duration(20'000 + (i % 4096) * 64));
}

struct Figures {
  double median, p99;  // ns a call
};

template <typename Call>
Figures Measure(const Call& call) {
  std::vector<double> samples;
  for (int round = 0; round < kRounds; ++round) {
    const auto began = std::chrono::steady_clock::now();
    for (int i = 0; i < kCalls; ++i) call(i);
    const std::chrono::duration<double, std::nano> took = std::chrono::steady_clock::now() - began;
    samples.push_back(took.count() / kCalls);
  }
  std::ranges::sort(samples);
  return {samples[kRounds / 2], samples[kRounds * 99 / 100]};
}

void Print(const char* what, Figures figures) {
  std::printf("%-48s %8.1f %8.1f\n", what, figures.median, figures.p99);
}

}  // namespace

int main() {
  CallStats stats;
  std::vector<std::string> methods;
  for (int i = 0; i < kMethods; ++i)
    methods.push_back("/bench.echo.v1.Echo/Method" + std::to_string(i));
  const std::string plugin = "bench-echo";
  const auto one_method = [&](int i) {
    Count(stats.Series(plugin, Caller::Kind::kUser, methods[0]), i);
  };
  const auto many_methods = [&](int i) {
    Count(stats.Series(plugin, Caller::Kind::kUser, methods[static_cast<size_t>(i % kMethods)]), i);
  };
  for (int i = 0; i < kCalls; ++i) many_methods(i);
  CallSeries& series = stats.Series(plugin, Caller::Kind::kUser, methods[0]);

  std::printf("%-48s %8s %8s\n", "ns a call", "median", "p99");
  Print("count", Measure([&](int i) { Count(series, i); }));
  Print("find and count, one method", Measure(one_method));
  Print("find and count, 16 methods in turn", Measure(many_methods));
  std::atomic<bool> done = false;
  uint64_t read = 0;
  std::thread reader([&] {
    while (!done.load()) {
      for (const auto& totals : AddUp([&](const SeriesVisit& visit) { stats.Each(visit); }))
        read += totals.admitted;
    }
  });
  Print("find and count, one method, read all the time", Measure(one_method));
  done.store(true);
  reader.join();
  return read > 0 ? 0 : 1;
}
