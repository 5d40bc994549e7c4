#include "daemon/plugind/metrics_page.h"

#include <fmt/format.h>

#include <array>

#include "daemon/observe/exposition.h"
#include "daemon/supervisor/state.h"

namespace plugind {
namespace {

using gateway::CallTotals;
using gateway::Histogram;
using observe::Exposition;
using supervisor::PluginStatus;
using supervisor::State;
using Type = Exposition::Type;

double Seconds(Duration duration) { return std::chrono::duration<double>(duration).count(); }
double Seconds(WallTime time) { return Seconds(time.time_since_epoch()); }

bool IsWanted(const PluginStatus& plugin) { return plugin.enabled && plugin.wanted; }

void AddDaemon(Exposition& page, const DaemonFigures& daemon) {
  page.Family("plugind_build_info", Type::kGauge, "What is running; always 1.");
  page.Sample({{"version", daemon.version}}, uint64_t{1});
  page.Family("plugind_start_time_seconds", Type::kGauge,
              "When the daemon as a whole (its keeper) was started, in Unix time.");
  page.Sample({}, Seconds(daemon.daemon_started_at));
  page.Family("plugind_restarts_total", Type::kCounter,
              "Times that the process of plugind died and its keeper started it again.");
  page.Sample({}, uint64_t{daemon.generation});
  page.Family("plugind_config_loaded_timestamp_seconds", Type::kGauge,
              "When the configuration in force was loaded, in Unix time.");
  page.Sample({}, Seconds(daemon.config_loaded_at));
  page.Family("plugind_log_dropped_lines_total", Type::kCounter,
              "Lines of plugind's own log that its stderr did not take.");
  page.Sample({}, daemon.log_lines_dropped);
}

void AddProcess(Exposition& page, const DaemonFigures& daemon) {
  page.Family("process_cpu_seconds_total", Type::kCounter, "CPU time of plugind, user and system.");
  page.Sample({}, daemon.process.cpu_seconds);
  page.Family("process_resident_memory_bytes", Type::kGauge, "Resident memory of plugind.");
  page.Sample({}, daemon.process.resident_bytes);
  page.Family("process_virtual_memory_bytes", Type::kGauge, "Virtual memory of plugind.");
  page.Sample({}, daemon.process.virtual_bytes);
  page.Family("process_open_fds", Type::kGauge, "File descriptors that plugind has open.");
  page.Sample({}, daemon.process.open_fds);
  page.Family("process_max_fds", Type::kGauge, "File descriptors that plugind may have open.");
  page.Sample({}, daemon.process.max_fds);
  page.Family("process_threads", Type::kGauge, "Threads of plugind.");
  page.Sample({}, daemon.process.threads);
  page.Family("process_start_time_seconds", Type::kGauge,
              "When this process of plugind began, in Unix time. Counters of calls begin with it.");
  page.Sample({}, Seconds(daemon.process_started_at));
}

// One family, with a sample for each plugin.
template <typename Value>
void AddEach(Exposition& page, const std::vector<PluginStatus>& plugins, std::string_view name,
             Type type, std::string_view help, const Value& value) {
  page.Family(name, type, help);
  for (const PluginStatus& plugin : plugins) page.Sample({{"plugin", plugin.name}}, value(plugin));
}

void AddPlugins(Exposition& page, const std::vector<PluginStatus>& plugins) {
  page.Family("plugind_plugin_state", Type::kGauge, "1 for the state that the plugin is in.");
  for (const PluginStatus& plugin : plugins) {
    for (auto i = static_cast<int>(supervisor::kFirstState);
         i <= static_cast<int>(supervisor::kLastState); ++i) {
      const auto state = static_cast<State>(i);
      page.Sample({{"plugin", plugin.name}, {"state", supervisor::ToString(state)}},
                  uint64_t{plugin.state == state});
    }
  }
  AddEach(page, plugins, "plugind_plugin_ready", Type::kGauge, "Whether the plugin is READY.",
          [](const PluginStatus& plugin) { return uint64_t{plugin.state == State::kReady}; });
  AddEach(page, plugins, "plugind_plugin_wanted", Type::kGauge,
          "Whether the plugin is to run, by configuration and operators.",
          [](const PluginStatus& plugin) { return uint64_t{IsWanted(plugin)}; });
  AddEach(page, plugins, "plugind_plugin_stuck", Type::kGauge,
          "Whether processes of the plugin do not die of SIGKILL.",
          [](const PluginStatus& plugin) { return uint64_t{plugin.stuck}; });
  AddEach(page, plugins, "plugind_plugin_restarts_total", Type::kCounter,
          "Starts of the plugin after its first; an operator's start begins anew.",
          [](const PluginStatus& plugin) { return uint64_t{plugin.restarts}; });
  AddEach(page, plugins, "plugind_plugin_recent_failures", Type::kGauge,
          "Deaths and failed starts within the plugin's quarantine window.",
          [](const PluginStatus& plugin) { return uint64_t{plugin.recent_failures}; });
  AddEach(page, plugins, "plugind_plugin_state_changed_timestamp_seconds", Type::kGauge,
          "When the plugin came into its state, in Unix time.",
          [](const PluginStatus& plugin) { return Seconds(plugin.state_changed_at); });
  AddEach(page, plugins, "plugind_log_dropped_bytes_total", Type::kCounter,
          "Bytes of the plugin's output that were not kept.",
          [](const PluginStatus& plugin) { return plugin.log_bytes_dropped; });
}

// Of the histogram's four buckets for each doubling, those at whole doublings: 16 µs to 67 s.
constexpr int kFirstDoubling = 4;
constexpr int kLastDoubling = 26;
constexpr size_t kBounds = kLastDoubling - kFirstDoubling + 1;

constexpr size_t BucketBelow(int doubling) {
  return static_cast<size_t>(doubling) * Histogram::kSubBuckets;
}

void AddDurations(Exposition& page, const std::vector<CallTotals>& calls) {
  std::array<double, kBounds> bounds{};
  for (size_t i = 0; i < kBounds; ++i) {
    bounds[i] = Seconds(Histogram::UpperBound(BucketBelow(kFirstDoubling + static_cast<int>(i))));
  }
  page.Family("plugind_call_duration_seconds", Type::kHistogram,
              "From a call's headers to its end, of calls that have ended.");
  for (const CallTotals& call : calls) {
    std::array<uint64_t, kBounds + 1> counts{};
    for (size_t bucket = 0, i = 0; bucket < call.latency.size(); ++bucket) {
      while (i < kBounds && bucket > BucketBelow(kFirstDoubling + static_cast<int>(i))) ++i;
      counts[i] += call.latency[bucket];
    }
    page.Histogram(
        {{"plugin", call.plugin}, {"caller", ToString(call.kind)}, {"method", call.method}}, bounds,
        counts, Seconds(call.latency_sum));
  }
}

void AddCalls(Exposition& page, const std::vector<CallTotals>& calls) {
  const auto add_each = [&](std::string_view name, Type type, std::string_view help,
                            uint64_t (*value)(const CallTotals&)) {
    page.Family(name, type, help);
    for (const CallTotals& call : calls) {
      page.Sample(
          {{"plugin", call.plugin}, {"caller", ToString(call.kind)}, {"method", call.method}},
          value(call));
    }
  };
  add_each("plugind_calls_started_total", Type::kCounter,
           "Calls that reached the gateway: those that have ended and those in flight.",
           [](const CallTotals& call) { return call.admitted; });
  page.Family("plugind_calls_total", Type::kCounter, "Calls that have ended, by how they did.");
  for (const CallTotals& call : calls) {
    for (const gateway::Outcome outcome : gateway::kOutcomes) {
      page.Sample({{"plugin", call.plugin},
                   {"caller", ToString(call.kind)},
                   {"method", call.method},
                   {"outcome", ToString(outcome)}},
                  call.ended[static_cast<size_t>(outcome)]);
    }
  }
  add_each("plugind_calls_in_flight", Type::kGauge, "Calls that have not ended.",
           [](const CallTotals& call) { return call.InFlight(); });
  add_each("plugind_calls_resent_total", Type::kCounter, "Times that a call was sent once more.",
           [](const CallTotals& call) { return call.resent; });
  page.Family("plugind_call_bytes_total", Type::kCounter, "Bytes of calls' bodies.");
  for (const CallTotals& call : calls) {
    for (const auto& [direction, bytes] :
         {std::pair("request", call.request_bytes), std::pair("response", call.response_bytes)}) {
      page.Sample({{"plugin", call.plugin},
                   {"caller", ToString(call.kind)},
                   {"method", call.method},
                   {"direction", direction}},
                  bytes);
    }
  }
  AddDurations(page, calls);
}

}  // namespace

std::string RenderMetrics(const DaemonFigures& daemon, const std::vector<PluginStatus>& plugins,
                          const std::vector<CallTotals>& calls) {
  Exposition page;
  AddDaemon(page, daemon);
  AddProcess(page, daemon);
  AddPlugins(page, plugins);
  AddCalls(page, calls);
  return page.Take();
}

Readiness DescribeReadiness(const std::vector<PluginStatus>& plugins, bool stopping, bool verbose) {
  Readiness readiness;
  std::string lines;
  if (stopping) {
    readiness.ready = false;
    lines += "[-] plugind is stopping\n";
  }
  for (const PluginStatus& plugin : plugins) {
    const bool good = !IsWanted(plugin) || plugin.state == State::kReady;
    readiness.ready = readiness.ready && good;
    if (good && !verbose) continue;
    lines += fmt::format("[{}] {} {}{}{}{}\n", good ? '+' : '-', plugin.name,
                         supervisor::ToString(plugin.state), IsWanted(plugin) ? "" : ", not wanted",
                         plugin.reason.empty() ? "" : ": ", plugin.reason);
  }
  readiness.text = lines + (readiness.ready ? "ready\n" : "not ready\n");
  return readiness;
}

}  // namespace plugind
