// pluginctl start, stop, restart, enable, disable: asks for all of them, then waits for what
// becomes of each.
#include <fmt/format.h>

#include <cstdio>

#include "daemon/pluginctl/error.h"
#include "daemon/pluginctl/settle.h"
#include "daemon/pluginctl/state.h"
#include "daemon/pluginctl/verbs/verbs.h"

namespace plugind::pluginctl {
namespace {

// The answers of the five requests have the same fields but not the same type.
template <typename Request, typename Response>
grpc::Status Send(Connection& connection,
                  grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Response*),
                  Awaited& each) {
  Request request;
  request.set_name(each.target.name());
  Response response;
  const grpc::Status status = connection.Call(method, request, &response);
  each.seen = std::move(*response.mutable_plugin());
  each.from_sequence = response.event_sequence();
  return status;
}

grpc::Status Send(Connection& connection, Change change, Awaited& each) {
  switch (change) {
    case Change::kStart:
      return Send(connection, &Stub::StartPlugin, each);
    case Change::kStop:
      return Send(connection, &Stub::StopPlugin, each);
    case Change::kRestart:
      return Send(connection, &Stub::RestartPlugin, each);
    case Change::kEnable:
      return Send(connection, &Stub::EnablePlugin, each);
    case Change::kDisable:
      return Send(connection, &Stub::DisablePlugin, each);
  }
  return {grpc::StatusCode::INTERNAL, "no such change"};
}

Goal GoalOf(Change change) {
  switch (change) {
    case Change::kStart:
    case Change::kRestart:
    case Change::kEnable:
      return Goal::kReady;
    case Change::kStop:
    case Change::kDisable:
      return Goal::kStopped;
  }
  return Goal::kStopped;
}

}  // namespace

ExitCode RunChange(Context& context, const ChangeOptions& options) {
  const Deadline deadline = DeadlineAfter(options.timeout);
  Connection& connection = context.connection;

  // All are looked at before any is touched: a mistyped name changes nothing.
  std::vector<Awaited> awaited;
  for (const std::string& name : options.names) {
    v1::GetPluginRequest request;
    request.set_name(name);
    v1::GetPluginResponse before;
    const grpc::Status status = connection.Call(&Stub::GetPlugin, request, &before);
    if (!status.ok()) return Report(connection, status, name);
    awaited.push_back({Target(name, GoalOf(options.change), before.plugin(),
                              options.change == Change::kRestart)});
  }

  ExitCode result = ExitCode::kDone;
  std::vector<Awaited> accepted;
  for (Awaited& each : awaited) {
    const grpc::Status status = Send(connection, options.change, each);
    if (status.ok()) {
      accepted.push_back(std::move(each));
      continue;
    }
    const ExitCode code = Report(connection, status, each.target.name());
    if (result == ExitCode::kDone) result = code;
  }
  if (!options.wait) {
    for (const Awaited& each : accepted) {
      fmt::print(stderr, "{}: requested, now {}\n", each.target.name(),
                 StateName(each.seen.state()));
    }
    return result;
  }
  Progress progress(context.err_terminal);
  const ExitCode settled = Settle(connection, std::move(accepted), deadline, progress);
  return result == ExitCode::kDone ? settled : result;
}

}  // namespace plugind::pluginctl
