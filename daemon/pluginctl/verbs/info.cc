// pluginctl info: the daemon itself.
#include <fmt/format.h>

#include <iterator>

#include "daemon/pluginctl/error.h"
#include "daemon/pluginctl/json.h"
#include "daemon/pluginctl/text.h"
#include "daemon/pluginctl/verbs/verbs.h"

namespace plugind::pluginctl {
namespace {

std::string When(const google::protobuf::Timestamp& time) {
  return time.seconds() == 0
             ? ""
             : fmt::format("{} ({} ago)", FormatTimeLong(time), FormatAge(Since(time)));
}

std::string DescribeProcess(int pid, const google::protobuf::Timestamp& started) {
  const std::string when = When(started);
  return fmt::format("pid {}{}{}", pid, when.empty() ? "" : ", since ", when);
}

std::string Render(const v1::GetDaemonInfoResponse& info) {
  std::string text;
  const auto add = [&text](std::string_view label, const std::string& value) {
    if (!value.empty())
      fmt::format_to(std::back_inserter(text), "{:<15} {}\n", fmt::format("{}:", label),
                     Printable(value));
  };
  add("Version", info.version());
  add("Phase", info.phase());
  add("Process", DescribeProcess(info.pid(), info.started_at()));
  add("Keeper", DescribeProcess(info.keeper_pid(), info.keeper_started_at()));
  add("Generation", fmt::format("{}", info.generation()));
  add("Plugins", std::to_string(info.plugins()));
  add("Events", std::to_string(info.event_sequence()));
  add("Configuration", info.config_file());
  add("Loaded", When(info.config_loaded_at()));
  add("Runtime", info.runtime_dir());
  add("State", info.state_dir());
  add("Cgroup", info.cgroup().empty() ? "none; process trees are ended by session and descent"
                                      : info.cgroup());
  return text;
}

}  // namespace

ExitCode RunInfo(Context& context, Format format) {
  v1::GetDaemonInfoResponse info;
  const grpc::Status status =
      context.connection.Identify(DeadlineAfter(kAnswerLimit), &info, nullptr);
  if (!status.ok()) return Report(context.connection, status);
  context.out.Write(format == Format::kJson ? ToJson(info) + '\n' : Render(info));
  return ExitCode::kDone;
}

}  // namespace plugind::pluginctl
