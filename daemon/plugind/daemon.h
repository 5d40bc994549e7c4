// plugind proper: builds the parts, connects them, and runs the supervisor's loop until the orderly
// end.
//
// Everything here may be killed at any instant; its successor finds with the keeper: each plugin's
// process, pipes and record, the logs' and events' memory, the control socket, the state
// directory's lock, and the configuration that was in force.
#pragma once

#include <sys/signalfd.h>

#include <memory>
#include <optional>
#include <string>

#include "daemon/base/clock.h"
#include "daemon/base/event_loop.h"
#include "daemon/base/loop_watchdog.h"
#include "daemon/base/status.h"
#include "daemon/base/unique_fd.h"
#include "daemon/config/plugin_config.h"
#include "daemon/control/control_server.h"
#include "daemon/keeper/client.h"
#include "daemon/observe/audit_log.h"
#include "daemon/observe/daemon_log.h"
#include "daemon/observe/event_log.h"
#include "daemon/plugind/call_log.h"
#include "daemon/plugind/configuration.h"
#include "daemon/plugind/denials.h"
#include "daemon/plugind/front_door.h"
#include "daemon/plugind/metrics_server.h"
#include "daemon/plugind/paths.h"
#include "daemon/plugind/service_manager.h"
#include "daemon/rpc/grpc_plugin_client.h"
#include "daemon/supervisor/operator_state.h"
#include "daemon/supervisor/supervisor.h"

namespace plugind {

class Daemon {
 public:
  explicit Daemon(Paths paths);
  ~Daemon();

  // Returns the process's exit code. `keeper_socket`: what the keeper left for this process.
  int Run(UniqueFd keeper_socket);

 private:
  absl::Status SetUp(UniqueFd keeper_socket);
  void RememberStart(Inheritance& inheritance);
  void ConfigureLog(const config::DaemonConfig& config);
  absl::Status OpenEvents(Inheritance& inheritance);
  absl::Status OpenDecisions();
  void WatchSignals();
  void OnSignal(const signalfd_siginfo& info);
  // By SIGHUP. The audit log is opened again first: it may have been moved away.
  void OnHangUp(int sender);
  void BeginShutdown();

  // Reads the files again and applies them; on any problem nothing changes. `name`: only that
  // plugin's part.
  grpc::Status Reload(const std::string& name, config::Diff* diff);
  void WatchLoop();
  // Tells what comes of it; whether there are metrics decides nothing else.
  void ListenForMetrics();
  DaemonFigures Figures() const;
  void Describe(control::v1::GetDaemonInfoResponse* info) const;
  void TellEvents();
  void TellStatus();

  Paths paths_;
  SystemClock clock_;
  EventLoop loop_;
  WallTime started_at_;
  Instant counting_since_;
  WallTime daemon_started_at_;
  uint32_t generation_ = 0;
  std::string cgroup_;
  uint64_t told_ = 1;  // the first event that the log has not been told of
  bool stopping_ = false;

  // In order of construction; destroyed in reverse, so that each may use those before it.
  std::unique_ptr<observe::Logger> log_;
  observe::AuditLog audit_;
  Denials denials_;
  CallLog call_log_;
  std::unique_ptr<keeper::Client> keeper_;
  std::unique_ptr<Configuration> configuration_;
  std::unique_ptr<observe::EventLog> events_;
  std::unique_ptr<supervisor::OperatorState> decisions_;
  std::unique_ptr<rpc::GrpcPluginClientFactory> clients_;
  std::unique_ptr<supervisor::Supervisor> supervisor_;
  std::unique_ptr<FrontDoor> front_door_;
  std::unique_ptr<control::ControlServer> control_;
  std::unique_ptr<MetricsServer> metrics_;
  ServiceManager service_manager_;
  UniqueFd signals_;
  std::optional<LoopWatchdog> watchdog_;
};

}  // namespace plugind
