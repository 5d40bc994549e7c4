#include "daemon/control/control_service.h"

#include <algorithm>
#include <utility>

#include "daemon/control/convert.h"

namespace plugind::control {
namespace {

constexpr size_t kTailInLists = size_t{4} * 1024;
constexpr size_t kTail = size_t{64} * 1024;
// One message of a stream: so many items at most, and not one more once it has so many bytes.
constexpr size_t kBatch = 256;
constexpr size_t kBatchBytes = size_t{256} * 1024;

// Moves what fits into one message; returns the sequence number to go on with.
template <typename Item, typename AddFn>
uint64_t AddBatch(const std::vector<Item>& items, uint64_t next, const AddFn& add) {
  size_t bytes = 0;
  for (const Item& item : items) {
    bytes += add(item);
    next = item.sequence + 1;
    if (bytes > kBatchBytes) break;
  }
  return next;
}

}  // namespace

ControlService::ControlService(DaemonParts parts, Followers& followers, const Gate& gate)
    : parts_(std::move(parts)), followers_(followers), gate_(gate) {}

grpc::ServerUnaryReactor* ControlService::Read(grpc::CallbackServerContext* context, Method method,
                                               const std::string& plugin,
                                               std::function<grpc::Status()> answer) {
  grpc::ServerUnaryReactor* const reactor = context->DefaultReactor();
  parts_.loop.Post(
      [this, reactor, caller = CallerOf(*context), method, plugin, answer = std::move(answer)] {
        const grpc::Status admitted = gate_.Admit(caller, method, plugin);
        reactor->Finish(admitted.ok() ? answer() : admitted);
      });
  return reactor;
}

grpc::ServerUnaryReactor* ControlService::Change(grpc::CallbackServerContext* context,
                                                 Method method, const std::string& plugin,
                                                 std::function<grpc::Status()> change) {
  grpc::ServerUnaryReactor* const reactor = context->DefaultReactor();
  parts_.loop.Post(
      [this, reactor, caller = CallerOf(*context), method, plugin, change = std::move(change)] {
        reactor->Finish(gate_.Change(caller, method, plugin, change));
      });
  return reactor;
}

void ControlService::FillPlugin(const supervisor::PluginStatus& status, size_t max_tail,
                                v1::Plugin* to) const {
  Fill(status, to);
  to->set_address(parts_.address(status.name));
  if (!status.last_exit) return;
  std::string_view tail = parts_.supervisor.StderrTail(status.name);
  if (tail.size() > max_tail) {
    tail.remove_prefix(tail.size() - max_tail);
    tail.remove_prefix(std::min(tail.find('\n') + 1, tail.size()));  // whole lines
  }
  to->mutable_last_exit()->set_stderr_tail(std::string(tail));
}

grpc::ServerUnaryReactor* ControlService::ListPlugins(grpc::CallbackServerContext* context,
                                                      const v1::ListPluginsRequest*,
                                                      v1::ListPluginsResponse* response) {
  return Read(context, Method::kListPlugins, "", [this, response] {
    for (const auto& status : parts_.supervisor.List()) {
      FillPlugin(status, kTailInLists, response->add_plugins());
    }
    return grpc::Status::OK;
  });
}

grpc::ServerUnaryReactor* ControlService::GetPlugin(grpc::CallbackServerContext* context,
                                                    const v1::GetPluginRequest* request,
                                                    v1::GetPluginResponse* response) {
  return Read(context, Method::kGetPlugin, request->name(), [this, request, response] {
    const auto status = parts_.supervisor.Get(request->name());
    if (!status.ok()) return ToGrpc(status.status());
    FillPlugin(*status, kTail, response->mutable_plugin());
    return grpc::Status::OK;
  });
}

template <typename Request, typename Response>
grpc::ServerUnaryReactor* ControlService::Act(grpc::CallbackServerContext* context, Method method,
                                              const Request* request, Response* response,
                                              Verb verb) {
  return Change(context, method, request->name(), [this, request, response, verb] {
    const uint64_t sequence = parts_.events.next_sequence();
    const absl::Status done = verb(parts_.supervisor, request->name());
    if (!done.ok()) return ToGrpc(done);
    response->set_event_sequence(sequence);
    const auto status = parts_.supervisor.Get(request->name());
    if (status.ok()) FillPlugin(*status, kTailInLists, response->mutable_plugin());
    return grpc::Status::OK;
  });
}

grpc::ServerUnaryReactor* ControlService::StartPlugin(grpc::CallbackServerContext* context,
                                                      const v1::StartPluginRequest* request,
                                                      v1::StartPluginResponse* response) {
  return Act(
      context, Method::kStartPlugin, request, response,
      [](supervisor::Supervisor& all, const std::string& name) { return all.StartPlugin(name); });
}
grpc::ServerUnaryReactor* ControlService::StopPlugin(grpc::CallbackServerContext* context,
                                                     const v1::StopPluginRequest* request,
                                                     v1::StopPluginResponse* response) {
  return Act(
      context, Method::kStopPlugin, request, response,
      [](supervisor::Supervisor& all, const std::string& name) { return all.StopPlugin(name); });
}
grpc::ServerUnaryReactor* ControlService::RestartPlugin(grpc::CallbackServerContext* context,
                                                        const v1::RestartPluginRequest* request,
                                                        v1::RestartPluginResponse* response) {
  return Act(
      context, Method::kRestartPlugin, request, response,
      [](supervisor::Supervisor& all, const std::string& name) { return all.RestartPlugin(name); });
}
grpc::ServerUnaryReactor* ControlService::EnablePlugin(grpc::CallbackServerContext* context,
                                                       const v1::EnablePluginRequest* request,
                                                       v1::EnablePluginResponse* response) {
  return Act(
      context, Method::kEnablePlugin, request, response,
      [](supervisor::Supervisor& all, const std::string& name) { return all.EnablePlugin(name); });
}
grpc::ServerUnaryReactor* ControlService::DisablePlugin(grpc::CallbackServerContext* context,
                                                        const v1::DisablePluginRequest* request,
                                                        v1::DisablePluginResponse* response) {
  return Act(
      context, Method::kDisablePlugin, request, response,
      [](supervisor::Supervisor& all, const std::string& name) { return all.DisablePlugin(name); });
}

grpc::ServerUnaryReactor* ControlService::Reload(grpc::CallbackServerContext* context,
                                                 const v1::ReloadRequest* request,
                                                 v1::ReloadResponse* response) {
  const Method method = request->name().empty() ? Method::kReloadAll : Method::kReloadPlugin;
  return Change(context, method, request->name(), [this, request, response] {
    const uint64_t sequence = parts_.events.next_sequence();
    config::Diff diff;
    const grpc::Status status = parts_.reload(request->name(), &diff);
    if (!status.ok()) return status;
    Fill(diff, response);
    response->set_event_sequence(sequence);
    return grpc::Status::OK;
  });
}

grpc::ServerWriteReactor<v1::StreamLogsResponse>* ControlService::StreamLogs(
    grpc::CallbackServerContext* context, const v1::StreamLogsRequest* request) {
  // The request lives as long as the call, but the loop may outlive it: copy.
  auto next = std::make_shared<uint64_t>(0);
  return new LoopStream<v1::StreamLogsResponse>(
      parts_.loop, followers_,
      [this, caller = CallerOf(*context), name = request->name()] {
        return gate_.Admit(caller, Method::kStreamLogs, name);
      },
      [this, request = *request, next](v1::StreamLogsResponse* response) {
        const auto found = parts_.supervisor.Get(request.name());
        if (!found.ok()) return Turn::End(ToGrpc(found.status()));
        const observe::PluginLog& log = *parts_.supervisor.Log(request.name());
        if (*next == 0) {
          *next = request.from_sequence() > 0 ? request.from_sequence()
                  : request.has_tail()        ? log.TailStart(request.tail())
                                              : 1;
        }
        *next =
            AddBatch(log.Read(*next, kBatch), *next, [response](const observe::LogEntry& entry) {
              v1::LogEntry* const to = response->add_entries();
              Fill(entry, to);
              return to->ByteSizeLong();
            });
        if (response->entries_size() > 0) return Turn::Write();
        return request.follow() ? Turn::Wait() : Turn::End(grpc::Status::OK);
      });
}

grpc::ServerWriteReactor<v1::WatchEventsResponse>* ControlService::WatchEvents(
    grpc::CallbackServerContext* context, const v1::WatchEventsRequest* request) {
  auto next = std::make_shared<uint64_t>(std::max<uint64_t>(request->from_sequence(), 1));
  return new LoopStream<v1::WatchEventsResponse>(
      parts_.loop, followers_,
      [this, caller = CallerOf(*context), name = request->name()] {
        return gate_.Admit(caller, Method::kWatchEvents, name);
      },
      [this, request = *request, next](v1::WatchEventsResponse* response) {
        while (*next < parts_.events.next_sequence()) {
          *next = AddBatch(parts_.events.Read(*next, kBatch), *next,
                           [&](const observe::Event& event) -> size_t {
                             if (!request.name().empty() && event.plugin != request.name())
                               return 0;
                             v1::Event* const to = response->add_events();
                             Fill(event, to);
                             return to->ByteSizeLong();
                           });
          if (response->events_size() > 0) return Turn::Write();
        }
        return request.follow() ? Turn::Wait() : Turn::End(grpc::Status::OK);
      });
}

grpc::ServerUnaryReactor* ControlService::ListCalls(grpc::CallbackServerContext* context,
                                                    const v1::ListCallsRequest* request,
                                                    v1::ListCallsResponse* response) {
  return Read(context, Method::kListCalls, request->name(), [this, request, response] {
    if (!request->name().empty()) {
      const auto status = parts_.supervisor.Get(request->name());
      if (!status.ok()) return ToGrpc(status.status());
    }
    parts_.calls(request->name(), response);
    return grpc::Status::OK;
  });
}

grpc::ServerUnaryReactor* ControlService::GetDaemonInfo(grpc::CallbackServerContext* context,
                                                        const v1::GetDaemonInfoRequest*,
                                                        v1::GetDaemonInfoResponse* response) {
  return Read(context, Method::kGetDaemonInfo, "", [this, response] {
    parts_.info(response);
    response->set_plugins(static_cast<uint32_t>(parts_.supervisor.config().plugins.size()));
    response->set_event_sequence(parts_.events.next_sequence() - 1);
    response->set_phase(parts_.supervisor.stopping() ? "stopping" : "running");
    return grpc::Status::OK;
  });
}

}  // namespace plugind::control
