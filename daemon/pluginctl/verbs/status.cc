// pluginctl status: a table of all plugins, or one in detail.
#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "daemon/pluginctl/error.h"
#include "daemon/pluginctl/json.h"
#include "daemon/pluginctl/state.h"
#include "daemon/pluginctl/table.h"
#include "daemon/pluginctl/text.h"
#include "daemon/pluginctl/verbs/verbs.h"

namespace plugind::pluginctl {
namespace {

constexpr size_t kTailLines = 10;

std::string OrDash(const std::string& text) { return text.empty() ? "-" : text; }

// The reason, and what a reader would ask next.
std::string Explanation(const v1::Plugin& plugin) {
  std::vector<std::string> parts;
  if (plugin.stuck()) parts.emplace_back("stuck: its processes do not die");
  if (!plugin.phase().empty()) parts.push_back(Printable(plugin.phase()));
  if (!plugin.reason().empty()) parts.push_back(Printable(plugin.reason()));
  if (!plugin.enabled() && plugin.reason().empty()) parts.emplace_back("disabled");
  if (plugin.has_next_start_at()) {
    parts.push_back(fmt::format("next start in {}", FormatAge(-Since(plugin.next_start_at()))));
  }
  return fmt::format("{}", fmt::join(parts, "; "));
}

std::string RenderTable(const v1::ListPluginsResponse& list, const Terminal& terminal) {
  Table table({{"NAME"}, {"STATE"}, {"PID", true}, {"RESTARTS", true}, {"AGE", true}, {"REASON"}});
  for (const v1::Plugin& plugin : list.plugins()) {
    const bool changed = plugin.has_state_changed_at();
    table.Add({{Printable(plugin.name())},
               {StateName(plugin.state()), StateColour(plugin.state())},
               {plugin.pid() == 0 ? "-" : std::to_string(plugin.pid())},
               {std::to_string(plugin.restarts())},
               {changed ? FormatAge(Since(plugin.state_changed_at())) : "-"},
               {Explanation(plugin)}});
  }
  return table.Render(terminal);
}

class Detail {
 public:
  void Add(std::string_view label, const std::string& text) {
    if (!text.empty()) fmt::format_to(std::back_inserter(text_), "{:>14}: {}\n", label, text);
  }
  void Line(const std::string& line) { text_ += line + '\n'; }
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

std::string DescribeExit(const v1::LastExit& exit) {
  std::string words = exit.reason().empty()
                          ? fmt::format("code {}, signal {}", exit.code(), exit.signal())
                          : Printable(exit.reason());
  if (exit.core_dumped()) words += ", core dumped";
  if (exit.oom_killed()) words += ", out of memory";
  if (exit.has_at())
    words += fmt::format("; {} ({} ago)", FormatTimeLong(exit.at()), FormatAge(Since(exit.at())));
  if (exit.pid() != 0) words += fmt::format("; pid {}", exit.pid());
  return words;
}

template <typename Strings>
std::string Join(const Strings& strings) {
  std::string joined;
  for (const std::string& each : strings) joined += (joined.empty() ? "" : ", ") + Printable(each);
  return joined;
}

std::string DescribeSettings(const v1::Settings& settings) {
  std::string words = fmt::format("the {}. that this process took, {} ago", settings.generation(),
                                  FormatAge(Since(settings.accepted_at())));
  if (settings.pending()) words += "; newer ones have been handed over";
  if (!settings.refused().empty()) {
    words += "; the configured ones are REFUSED: " + Printable(settings.refused());
  }
  return words;
}

std::string RenderDetail(const v1::Plugin& plugin, const Terminal& terminal) {
  Detail detail;
  std::string head =
      fmt::format("{} {} {}", terminal.Paint(StateColour(plugin.state()), "●"),
                  terminal.Paint(Colour::kBold, Printable(plugin.name())),
                  terminal.Paint(StateColour(plugin.state()), StateName(plugin.state())));
  if (!plugin.phase().empty()) head += fmt::format(" ({})", Printable(plugin.phase()));
  if (plugin.has_state_changed_at()) {
    head += fmt::format(" since {} ({})", FormatTimeLong(plugin.state_changed_at()),
                        FormatAge(Since(plugin.state_changed_at())));
  }
  detail.Line(head);
  detail.Add("Reason", Printable(plugin.reason()));
  if (plugin.stuck()) detail.Add("Stuck", "its processes do not die; no second copy is started");
  if (plugin.has_next_start_at()) {
    detail.Add("Next start", fmt::format("{} (in {})", FormatTimeLong(plugin.next_start_at()),
                                         FormatAge(-Since(plugin.next_start_at()))));
  }
  detail.Add("Configured", fmt::format("{}; {}, {}", OrDash(Printable(plugin.config_file())),
                                       plugin.enabled() ? "enabled" : "disabled",
                                       plugin.wanted() ? "wanted" : "not wanted"));
  detail.Add("After", Join(plugin.after()));
  if (plugin.pid() != 0) {
    detail.Add("Process", fmt::format("pid {}, instance {}", plugin.pid(),
                                      OrDash(Printable(plugin.instance()))));
  }
  if (plugin.has_ready_at()) {
    detail.Add("Ready", fmt::format("{} ({} ago)", FormatTimeLong(plugin.ready_at()),
                                    FormatAge(Since(plugin.ready_at()))));
  }
  detail.Add("Restarts",
             fmt::format("{} ({} recent failures)", plugin.restarts(), plugin.recent_failures()));
  if (plugin.protocol_version() != 0)
    detail.Add("Protocol", std::to_string(plugin.protocol_version()));
  detail.Add("Status", Printable(plugin.status_text()));
  detail.Add("Version", Printable(plugin.plugin_version()));
  detail.Add("SDK", Printable(plugin.sdk()));
  detail.Add("Services", Join(plugin.services()));
  std::vector<std::string> capabilities;
  for (const auto& [name, version] : plugin.capabilities())
    capabilities.push_back(fmt::format("{} {}", name, version));
  std::ranges::sort(capabilities);
  detail.Add("Capabilities", Join(capabilities));
  if (plugin.has_settings()) detail.Add("Settings", DescribeSettings(plugin.settings()));
  detail.Add("Address", Printable(plugin.address()));
  detail.Add("Direct", Printable(plugin.direct_address()));
  if (plugin.log_bytes_dropped() != 0)
    detail.Add("Log", fmt::format("{} bytes dropped", plugin.log_bytes_dropped()));
  if (plugin.has_last_exit()) {
    detail.Add("Last exit", DescribeExit(plugin.last_exit()));
    for (const std::string& line : LastLines(plugin.last_exit().stderr_tail(), kTailLines)) {
      detail.Line(fmt::format("{:>14}  {}", "|", terminal.Paint(Colour::kDim, line)));
    }
  }
  return detail.text();
}

ExitCode Check(const v1::ListPluginsResponse& list) {
  std::vector<std::string> bad;
  for (const v1::Plugin& plugin : list.plugins()) {
    if (IsUnhealthy(plugin))
      bad.push_back(fmt::format("{} ({})", plugin.name(), StateName(plugin.state())));
  }
  if (bad.empty()) return ExitCode::kDone;
  Complain(
      fmt::format("{} of {} not ready: {}", bad.size(), list.plugins_size(), fmt::join(bad, ", ")));
  return ExitCode::kUnhealthy;
}

}  // namespace

ExitCode RunStatus(Context& context, const StatusOptions& options) {
  v1::ListPluginsResponse list;
  if (options.name.empty()) {
    const grpc::Status status =
        context.connection.Call(&Stub::ListPlugins, v1::ListPluginsRequest(), &list);
    if (!status.ok()) return Report(context.connection, status);
  } else {
    v1::GetPluginRequest request;
    request.set_name(options.name);
    v1::GetPluginResponse response;
    const grpc::Status status = context.connection.Call(&Stub::GetPlugin, request, &response);
    if (!status.ok()) return Report(context.connection, status, options.name);
    list.add_plugins()->Swap(response.mutable_plugin());
  }
  if (options.format == Format::kJson) {
    context.out.Write(ToJson(list) + '\n');
  } else if (options.name.empty()) {
    context.out.Write(RenderTable(list, context.out_terminal));
  } else {
    context.out.Write(RenderDetail(list.plugins(0), context.out_terminal));
  }
  context.out.Flush();
  return options.check ? Check(list) : ExitCode::kDone;
}

ExitCode RunCompletePlugins(Context& context) {
  v1::ListPluginsResponse list;
  const Deadline soon = DeadlineAfter(std::chrono::milliseconds(700));
  if (!context.connection.Call(&Stub::ListPlugins, v1::ListPluginsRequest(), &list, soon).ok()) {
    return ExitCode::kUnreachable;  // without a word: this runs while the user types
  }
  for (const v1::Plugin& plugin : list.plugins()) context.out.Write(plugin.name() + '\n');
  return ExitCode::kDone;
}

}  // namespace plugind::pluginctl
