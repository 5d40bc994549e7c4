// Everything that callers connect to: the sockets, which outlive this process with the keeper, the
// gateway behind them, and the table by which it finds plugins, kept in step with the supervisor.
// Owned by Daemon; on the supervisor's loop.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "daemon/base/custody.h"
#include "daemon/base/event_loop.h"
#include "daemon/base/status.h"
#include "daemon/config/plugin_config.h"
#include "daemon/gateway/call_totals.h"
#include "daemon/gateway/gateway.h"
#include "daemon/plugind/listening_socket.h"
#include "daemon/supervisor/supervisor.h"

namespace plugind {

class FrontDoor {
 public:
  struct Parts {
    EventLoop& loop;
    Keeper& keeper;
    std::string runtime_dir;
    // A connection to the control server, which nothing else can reach. Any thread.
    std::function<void(UniqueFd)> serve_control;
    std::function<void(const std::string& instance)> drained;
    // Something that no caller is told of, for the daemon's log.
    std::function<void(const std::string&)> report;
    gateway::Told told;  // on the gateway's threads
  };
  FrontDoor(Parts parts, const config::DaemonConfig& config);
  ~FrontDoor();

  // Binds plugind.sock, or takes it over, with every other socket that an earlier plugind left.
  absl::Status Open(std::map<std::string, UniqueFd>& inherited);

  // See supervisor::Surroundings: a plugin process's own socket, i/ID/host.sock.
  absl::Status OpenHost(const std::string& plugin, const std::string& instance);
  void CloseHost(const std::string& instance);

  // Looks at every plugin and begins to accept calls.
  void Begin(const supervisor::Supervisor& supervisor);
  // `plugin`, or with "" all, must be looked at again: soon, once for many changes.
  void Refresh(const supervisor::Supervisor& supervisor, const std::string& plugin);
  // `instance` of `plugin` is no longer READY: Parts::drained tells when its last call has ended.
  void Drain(const std::string& plugin, const std::string& instance);
  // No address is left. Calls that run go on, but none begins that would go to the control server,
  // which may be destroyed from now on.
  void Close();

  // All that the gateway has counted, added up.
  std::vector<gateway::CallTotals> Calls() const;
  std::string AddressOf(const std::string& plugin) const;

 private:
  struct Host {
    ListeningSocket socket;
    bool listening = false;
  };
  void Publish(const supervisor::Supervisor& supervisor);
  void Look(const supervisor::Supervisor& supervisor, const std::string& plugin);
  // What is found by process and by service.
  void List(const supervisor::PluginStatus& status);
  void Unlist(const std::string& plugin);
  void OpenPluginSocket(const std::string& plugin);
  void Listen(const std::string& name, const ListeningSocket& socket, const gateway::Door& door);
  void ClosePluginSocket(const std::string& plugin);
  void DropStale();
  gateway::InstancePtr InstanceFor(const supervisor::PluginStatus& status);

  Parts parts_;
  SystemClock clock_;
  std::unique_ptr<gateway::Gateway> gateway_;
  std::optional<ListeningSocket> front_;
  std::map<std::string, ListeningSocket> plugin_sockets_;  // by plugin
  std::map<std::string, Host> hosts_;                      // by instance
  std::map<std::string, UniqueFd> inherited_;              // not yet claimed

  gateway::RouteTable table_;
  std::map<std::string, supervisor::PluginStatus> known_;  // as last looked at
  std::map<std::string, std::shared_ptr<gateway::PluginLoad>> loads_;
  std::map<std::string, gateway::InstancePtr> instances_;  // by plugin: its present one
  std::map<std::string, gateway::Door> unopened_;          // listen once the table is published
  std::vector<gateway::InstancePtr> draining_;  // once the table without them is published
  std::set<std::string> changed_;
  bool all_changed_ = false;
  bool scheduled_ = false;
  bool accepting_ = false;
};

}  // namespace plugind
