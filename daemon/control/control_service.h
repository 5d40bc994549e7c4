// plugind.control.v1.PluginControl: each call is posted to the supervisor's loop, answered there,
// and finished. gRPC's threads touch nothing else.
#pragma once

#include <functional>
#include <string>

#include "daemon/base/event_loop.h"
#include "daemon/config/diff.h"
#include "daemon/control/access.h"
#include "daemon/control/gate.h"
#include "daemon/control/loop_stream.h"
#include "daemon/observe/audit_log.h"
#include "daemon/observe/event_log.h"
#include "daemon/supervisor/supervisor.h"
#include "plugind/control/v1/control.grpc.pb.h"

namespace plugind::control {

// What the service needs of the daemon beside its plugins.
struct DaemonParts {
  EventLoop& loop;
  supervisor::Supervisor& supervisor;
  observe::EventLog& events;
  // Reads the configuration again and applies it; only that plugin's part unless the name is empty.
  std::function<grpc::Status(const std::string& name, config::Diff* diff)> reload;
  // Everything but what the supervisor knows.
  std::function<void(v1::GetDaemonInfoResponse*)> info;
  // Where programs reach a plugin through the gateway; a gRPC target, "" for none.
  std::function<std::string(const std::string& plugin)> address;
  observe::AuditLog& audit;
  std::function<void(const observe::Denial&)> denied;
  // Calls to one plugin, or with "" all.
  std::function<void(const std::string& plugin, v1::ListCallsResponse*)> calls;
};

class ControlService final : public v1::PluginControl::CallbackService {
 public:
  // Both outlive it.
  ControlService(DaemonParts parts, Followers& followers, const Gate& gate);

  grpc::ServerUnaryReactor* ListPlugins(grpc::CallbackServerContext*, const v1::ListPluginsRequest*,
                                        v1::ListPluginsResponse*) override;
  grpc::ServerUnaryReactor* GetPlugin(grpc::CallbackServerContext*, const v1::GetPluginRequest*,
                                      v1::GetPluginResponse*) override;
  grpc::ServerUnaryReactor* StartPlugin(grpc::CallbackServerContext*, const v1::StartPluginRequest*,
                                        v1::StartPluginResponse*) override;
  grpc::ServerUnaryReactor* StopPlugin(grpc::CallbackServerContext*, const v1::StopPluginRequest*,
                                       v1::StopPluginResponse*) override;
  grpc::ServerUnaryReactor* RestartPlugin(grpc::CallbackServerContext*,
                                          const v1::RestartPluginRequest*,
                                          v1::RestartPluginResponse*) override;
  grpc::ServerUnaryReactor* EnablePlugin(grpc::CallbackServerContext*,
                                         const v1::EnablePluginRequest*,
                                         v1::EnablePluginResponse*) override;
  grpc::ServerUnaryReactor* DisablePlugin(grpc::CallbackServerContext*,
                                          const v1::DisablePluginRequest*,
                                          v1::DisablePluginResponse*) override;
  grpc::ServerUnaryReactor* Reload(grpc::CallbackServerContext*, const v1::ReloadRequest*,
                                   v1::ReloadResponse*) override;
  grpc::ServerWriteReactor<v1::StreamLogsResponse>* StreamLogs(
      grpc::CallbackServerContext*, const v1::StreamLogsRequest*) override;
  grpc::ServerWriteReactor<v1::WatchEventsResponse>* WatchEvents(
      grpc::CallbackServerContext*, const v1::WatchEventsRequest*) override;
  grpc::ServerUnaryReactor* ListCalls(grpc::CallbackServerContext*, const v1::ListCallsRequest*,
                                      v1::ListCallsResponse*) override;
  grpc::ServerUnaryReactor* GetDaemonInfo(grpc::CallbackServerContext*,
                                          const v1::GetDaemonInfoRequest*,
                                          v1::GetDaemonInfoResponse*) override;

 private:
  // A plain function: GCC 12's sanitizers report a stack underflow in calls by pointer to member.
  using Verb = absl::Status (*)(supervisor::Supervisor&, const std::string& name);
  template <typename Request, typename Response>
  grpc::ServerUnaryReactor* Act(grpc::CallbackServerContext* context, Method method,
                                const Request* request, Response* response, Verb verb);
  // Runs `answer` on the loop, if the caller may, and finishes the call with what it returns.
  grpc::ServerUnaryReactor* Read(grpc::CallbackServerContext* context, Method method,
                                 const std::string& plugin, std::function<grpc::Status()> answer);
  // The same for what changes something, which is also on record.
  grpc::ServerUnaryReactor* Change(grpc::CallbackServerContext* context, Method method,
                                   const std::string& plugin, std::function<grpc::Status()> change);
  // The last process's end with its last words on stderr, `max_tail` bytes at most.
  void FillPlugin(const supervisor::PluginStatus& status, size_t max_tail, v1::Plugin* to) const;

  DaemonParts parts_;
  Followers& followers_;
  const Gate& gate_;
};

}  // namespace plugind::control
