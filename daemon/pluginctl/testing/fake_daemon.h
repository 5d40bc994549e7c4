// A PluginControl server in the test's own process, which does what the test says: a table of
// plugins, their logs, and the events of every change. It may die and come back on the same socket,
// as plugind does under its keeper.
//
// Thread-safe: the test's thread scripts it while gRPC's threads serve.
#pragma once

#include <grpcpp/grpcpp.h>

#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "daemon/pluginctl/testing/fake_plugin.h"
#include "plugind/control/v1/control.grpc.pb.h"

namespace plugind::pluginctl::testing {

namespace v1 = ::plugind::control::v1;
using State = v1::Plugin::State;

// One change of a plugin, as a script has it.
struct Step {
  State to;
  std::string reason = {};
  std::string instance = "-";  // "-": as it was
  std::function<void(v1::Plugin&)> also = {};
};

class FakeDaemon final : private v1::PluginControl::Service {
 public:
  explicit FakeDaemon(std::string socket);
  FakeDaemon(const FakeDaemon&) = delete;
  FakeDaemon& operator=(const FakeDaemon&) = delete;
  ~FakeDaemon() override;

  const std::string& socket() const { return socket_; }
  // What is called through it.
  FakePlugin& plugin() { return plugin_; }

  // Death: every call breaks off and the socket is gone. Plugins, logs and events are kept.
  void Kill();
  void Revive();
  // As Revive, but as after the death of the keeper: events and logs begin anew.
  void ReviveAnew();

  // A READY plugin, wanted and enabled, with a process; `change` makes it another.
  void Add(const std::string& name, const std::function<void(v1::Plugin&)>& change = {});
  void Remove(const std::string& name);
  void Move(const std::string& name, const Step& step);
  void Log(const std::string& name, v1::LogEntry entry);
  void DropLogsBefore(const std::string& name, uint64_t sequence);

  // What StartPlugin, StopPlugin … (`method`) do with a plugin: the first step before they answer,
  // the rest after the answer was made up.
  void Script(const std::string& method, const std::string& name, std::vector<Step> steps);
  // The method's next answer.
  void FailOnce(const std::string& method, grpc::Status status);
  // The next stream of `method` ends with this status after `items` items.
  void BreakOnce(const std::string& method, int items, grpc::Status status);
  void SetReload(v1::ReloadResponse response, std::function<void()> apply);

  // What ListCalls answers.
  void SetCalls(v1::ListCallsResponse calls);

  int Calls(const std::string& method) const;
  // Each waits for 20 s at most, and fails the test after that.
  void AwaitCalls(const std::string& method, int count) const;
  // Streams that have sent all there is and wait for more.
  void AwaitFollowers(int count) const;

 private:
  using Context = grpc::ServerContext;
  struct Break {
    int items;
    grpc::Status status;
  };

  grpc::Status ListPlugins(Context*, const v1::ListPluginsRequest*,
                           v1::ListPluginsResponse*) override;
  grpc::Status GetPlugin(Context*, const v1::GetPluginRequest*, v1::GetPluginResponse*) override;
  grpc::Status StartPlugin(Context*, const v1::StartPluginRequest*,
                           v1::StartPluginResponse*) override;
  grpc::Status StopPlugin(Context*, const v1::StopPluginRequest*, v1::StopPluginResponse*) override;
  grpc::Status RestartPlugin(Context*, const v1::RestartPluginRequest*,
                             v1::RestartPluginResponse*) override;
  grpc::Status EnablePlugin(Context*, const v1::EnablePluginRequest*,
                            v1::EnablePluginResponse*) override;
  grpc::Status DisablePlugin(Context*, const v1::DisablePluginRequest*,
                             v1::DisablePluginResponse*) override;
  grpc::Status Reload(Context*, const v1::ReloadRequest*, v1::ReloadResponse*) override;
  grpc::Status StreamLogs(Context*, const v1::StreamLogsRequest*,
                          grpc::ServerWriter<v1::StreamLogsResponse>*) override;
  grpc::Status WatchEvents(Context*, const v1::WatchEventsRequest*,
                           grpc::ServerWriter<v1::WatchEventsResponse>*) override;
  grpc::Status ListCalls(Context*, const v1::ListCallsRequest*, v1::ListCallsResponse*) override;
  grpc::Status GetDaemonInfo(Context*, const v1::GetDaemonInfoRequest*,
                             v1::GetDaemonInfoResponse*) override;

  template <typename Response>
  grpc::Status Change(const std::string& method, const std::string& name, Response* response);
  grpc::Status Note(const std::string& method);
  void MoveLocked(const std::string& name, const Step& step);
  // Sends what `next` finds until there is no more, or, with `follow`, until hung up.
  grpc::Status Feed(Context* context, const std::string& method, bool follow,
                    const std::function<bool()>& send_next);

  const std::string socket_;
  FakePlugin plugin_;
  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  std::unique_ptr<grpc::Server> server_;
  bool dead_ = true;
  int followers_ = 0;
  uint64_t next_event_ = 1;
  int keeper_pid_ = 100;
  std::map<std::string, v1::Plugin> plugins_;
  std::vector<v1::Event> events_;
  std::map<std::string, std::vector<v1::LogEntry>> logs_;
  std::map<std::string, uint64_t> next_log_;
  std::map<std::pair<std::string, std::string>, std::vector<Step>> scripts_;
  std::map<std::string, grpc::Status> failures_;
  std::map<std::string, Break> breaks_;
  std::map<std::string, int> calls_;
  v1::ReloadResponse reload_;
  v1::ListCallsResponse traffic_;
  std::function<void()> apply_reload_;
};

// A status as plugind's own: with ErrorInfo and, for CONFIG_INVALID, the places.
grpc::Status RichStatus(grpc::StatusCode code, const std::string& message,
                        const std::string& reason,
                        const std::vector<std::pair<std::string, std::string>>& violations = {});

}  // namespace plugind::pluginctl::testing
