// pluginctl reload: has the configuration read again, then waits until every plugin that this
// touched has arrived.
#include <fmt/format.h>

#include <cstdio>
#include <map>

#include "daemon/pluginctl/error.h"
#include "daemon/pluginctl/settle.h"
#include "daemon/pluginctl/verbs/verbs.h"

namespace plugind::pluginctl {
namespace {

using Plugins = std::map<std::string, v1::Plugin>;

grpc::Status List(Connection& connection, Plugins* plugins) {
  v1::ListPluginsResponse list;
  const grpc::Status status = connection.Call(&Stub::ListPlugins, v1::ListPluginsRequest(), &list);
  for (v1::Plugin& plugin : *list.mutable_plugins()) (*plugins)[plugin.name()].Swap(&plugin);
  return status;
}

template <typename Names>
void Tell(const char* what, const Names& names) {
  if (!names.empty()) fmt::print(stderr, "{}: {}\n", what, fmt::join(names, ", "));
}

void Tell(const v1::ReloadResponse& response) {
  Tell("added", response.added());
  Tell("removed", response.removed());
  Tell("changed", response.changed());
  Tell("updated", response.updated());
  const bool nothing = response.added().empty() && response.removed().empty() &&
                       response.changed().empty() && response.updated().empty();
  if (nothing) fmt::print(stderr, "nothing has changed\n");
}

bool ShouldRun(const v1::Plugin& plugin) { return plugin.enabled() && plugin.wanted(); }

// Whether it was handed other settings, or is being restarted to be handed them.
bool HasNewSettings(const Plugins& before, const Plugins& after, const std::string& name) {
  const auto then = before.find(name);
  const auto now = after.find(name);
  if (then == before.end() || now == after.end()) return false;
  if (!ShouldRun(then->second) || !ShouldRun(now->second)) return false;
  const v1::Settings& settings = now->second.settings();
  return settings.pending() || !settings.refused().empty() ||
         settings.generation() != then->second.settings().generation();
}

// What to wait for after `response`. A plugin that is not to run before and after is left alone.
void AwaitTouched(const v1::ReloadResponse& response, const Plugins& before, const Plugins& after,
                  std::vector<Awaited>* awaited) {
  const auto add = [&](const std::string& name, bool restarted) {
    const auto now = after.find(name);
    const auto then = before.find(name);
    const v1::Plugin old = then == before.end() ? v1::Plugin() : then->second;
    if (now == after.end()) {
      awaited->push_back({Target(name, Goal::kGone, old, false), old, response.event_sequence()});
    } else if (ShouldRun(now->second) && (restarted || !ShouldRun(old))) {
      awaited->push_back(
          {Target(name, Goal::kReady, old, restarted), now->second, response.event_sequence()});
    } else if (!ShouldRun(now->second) && ShouldRun(old)) {
      awaited->push_back(
          {Target(name, Goal::kStopped, old, false), now->second, response.event_sequence()});
    }
  };
  for (const std::string& name : response.added()) add(name, true);
  for (const std::string& name : response.changed()) add(name, true);
  for (const std::string& name : response.updated()) {
    if (HasNewSettings(before, after, name)) {
      const v1::Plugin& now = after.at(name);
      awaited->push_back(
          {Target(name, Goal::kConfigured, now, false), now, response.event_sequence()});
    } else {
      add(name, false);
    }
  }
  for (const std::string& name : response.removed()) {
    if (after.contains(name)) {  // still on its way out
      awaited->push_back({Target(name, Goal::kGone, after.at(name), false), after.at(name),
                          response.event_sequence()});
    }
  }
}

}  // namespace

ExitCode RunReload(Context& context, const ReloadOptions& options) {
  const Deadline deadline = DeadlineAfter(options.timeout);
  Connection& connection = context.connection;
  Plugins before;
  if (const grpc::Status status = List(connection, &before); !status.ok())
    return Report(connection, status);

  std::vector<v1::ReloadResponse> responses;
  const std::vector<std::string> everything = {""};
  for (const std::string& name : options.names.empty() ? everything : options.names) {
    v1::ReloadRequest request;
    request.set_name(name);
    const grpc::Status status = connection.Call(&Stub::Reload, request, &responses.emplace_back());
    if (!status.ok()) return Report(connection, status, name);
    Tell(responses.back());
  }
  if (!options.wait) return ExitCode::kDone;

  Plugins after;
  if (const grpc::Status status = List(connection, &after); !status.ok())
    return Report(connection, status);
  std::vector<Awaited> awaited;
  for (const v1::ReloadResponse& response : responses)
    AwaitTouched(response, before, after, &awaited);
  Progress progress(context.err_terminal);
  return Settle(connection, std::move(awaited), deadline, progress);
}

}  // namespace plugind::pluginctl
