// pluginctl top: what passes through the gateway, again and again.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <thread>

#include "daemon/pluginctl/error.h"
#include "daemon/pluginctl/table.h"
#include "daemon/pluginctl/text.h"
#include "daemon/pluginctl/traffic.h"
#include "daemon/pluginctl/verbs/verbs.h"

namespace plugind::pluginctl {
namespace {

constexpr char kHome[] = "\x1b[H";
constexpr char kClearLine[] = "\x1b[K";
constexpr char kClearBelow[] = "\x1b[J";

// Three digits that count: "0.42", "12.3", "1.23M".
std::string Short(double value) {
  constexpr std::string_view kPrefixes = " kMGTP";
  size_t prefix = 0;
  while (value >= 999.5 && prefix + 1 < kPrefixes.size()) {
    value /= 1000;
    ++prefix;
  }
  const int decimals = value == 0 || value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2;
  std::string text = fmt::format("{:.{}f}", value, decimals);
  if (prefix > 0) text += kPrefixes[prefix];
  return text;
}

std::string ShortSeconds(const std::optional<double>& seconds) {
  if (!seconds) return "-";
  if (*seconds < 0.9995e-3) return fmt::format("{:.0f}us", *seconds * 1e6);
  if (*seconds < 0.9995) return Short(*seconds * 1e3) + "ms";
  return Short(*seconds) + "s";
}

std::string Percent(const std::optional<double>& share) {
  return share ? fmt::format("{:.1f}", *share * 100) : "-";
}

Colour ColourOf(const std::optional<double>& failed) {
  if (!failed || *failed == 0) return Colour::kNone;
  return *failed < 0.01 ? Colour::kYellow : Colour::kRed;
}

std::vector<Column> Columns(bool by_method) {
  std::vector<Column> columns = {{"PLUGIN"}};
  if (by_method) columns.push_back({"CALLER"});
  for (const char* title :
       {"CALLS/S", "IN-FLIGHT", "P50", "P99", "ERR%", "UNAVAILABLE", "RX", "TX"}) {
    columns.push_back({title, true});
  }
  if (by_method) columns.push_back({"METHOD"});
  return columns;
}

std::string RenderHead(const Traffic& traffic, const Terminal& terminal) {
  uint64_t started = 0;
  uint64_t in_flight = 0;
  for (const TrafficRow& row : traffic.rows) {
    started += row.started;
    in_flight += row.in_flight;
  }
  const auto lasting = std::chrono::duration<double>(traffic.seconds);
  const std::string when =
      traffic.since_start
          ? "since plugind began " +
                FormatAge(std::chrono::duration_cast<std::chrono::nanoseconds>(lasting)) + " ago"
          : fmt::format("in the last {:.1f} s", traffic.seconds);
  return terminal.Paint(Colour::kDim,
                        fmt::format("{} calls/s, {} in flight, {}",
                                    Short(traffic.PerSecond(started)), in_flight, when)) +
         "\n";
}

std::string Render(const Traffic& traffic, bool by_method, const Terminal& terminal) {
  Table table(Columns(by_method));
  for (const TrafficRow& row : traffic.rows) {
    std::vector<Cell> cells = {{row.plugin.empty() ? "-" : Printable(row.plugin)}};
    if (by_method) cells.push_back({row.caller});
    const Colour colour = ColourOf(row.FailedShare());
    cells.push_back({Short(traffic.PerSecond(row.started))});
    cells.push_back({std::to_string(row.in_flight)});
    cells.push_back({ShortSeconds(row.p50)});
    cells.push_back({ShortSeconds(row.p99)});
    cells.push_back({Percent(row.FailedShare()), colour});
    cells.push_back(
        {std::to_string(row.Unavailable()), row.Unavailable() > 0 ? Colour::kRed : Colour::kNone});
    cells.push_back({Short(traffic.PerSecond(row.request_bytes)) + "B/s"});
    cells.push_back({Short(traffic.PerSecond(row.response_bytes)) + "B/s"});
    if (by_method) cells.push_back({Printable(row.method)});
    table.Add(std::move(cells));
  }
  return RenderHead(traffic, terminal) + table.Render(terminal);
}

// Over what the frame before has left on the screen, and no longer than it.
std::string OverLast(const std::string& frame, size_t lines) {
  std::string out = kHome;
  size_t shown = 0;
  for (size_t at = 0; at < frame.size() && (lines == 0 || shown + 1 < lines); ++shown) {
    const size_t end = std::min(frame.find('\n', at), frame.size());
    out += frame.substr(at, end - at) + kClearLine + "\n";
    at = end + 1;
  }
  return out + kClearBelow;
}

}  // namespace

ExitCode RunTop(Context& context, const TopOptions& options) {
  const bool json = options.format == Format::kJson;
  const bool live = context.out_terminal.cursor && !options.batch && !json;
  v1::ListCallsResponse before;
  for (uint32_t round = 0; options.rounds == 0 || round < options.rounds; ++round) {
    if (round == 1) context.out.EndWithReader();
    if (round > 0) std::this_thread::sleep_for(options.interval);
    v1::ListCallsResponse now;
    const grpc::Status status =
        context.connection.Call(&Stub::ListCalls, v1::ListCallsRequest(), &now);
    if (!status.ok()) return Report(context.connection, status);
    const Traffic traffic = Compare(round == 0 ? nullptr : &before, now, options.by_method);
    // Its size may have changed meanwhile.
    const Terminal terminal = live ? InspectTerminal(STDOUT_FILENO) : context.out_terminal;
    if (json) {
      context.out.Write(TrafficJson(traffic, options.by_method) + '\n');
    } else if (live) {
      context.out.Write(OverLast(Render(traffic, options.by_method, terminal), terminal.lines));
    } else {
      context.out.Write((round > 0 ? "\n" : "") + Render(traffic, options.by_method, terminal));
    }
    context.out.Flush();
    before = std::move(now);
  }
  return ExitCode::kDone;
}

}  // namespace plugind::pluginctl
