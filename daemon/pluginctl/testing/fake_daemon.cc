#include "daemon/pluginctl/testing/fake_daemon.h"

#include <google/protobuf/util/time_util.h>
#include <grpc/grpc.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"

namespace plugind::pluginctl::testing {
namespace {

using google::protobuf::util::TimeUtil;
using std::chrono::milliseconds;

constexpr auto kPatience = std::chrono::seconds(20);
constexpr auto kCancelPoll =
    milliseconds(5);  // gRPC's synchronous server tells nobody that a client hung up

}  // namespace

grpc::Status RichStatus(grpc::StatusCode code, const std::string& message,
                        const std::string& reason,
                        const std::vector<std::pair<std::string, std::string>>& violations) {
  google::rpc::Status rich;
  rich.set_code(code);
  rich.set_message(message);
  google::rpc::ErrorInfo info;
  info.set_domain("plugind");
  info.set_reason(reason);
  rich.add_details()->PackFrom(info);
  if (!violations.empty()) {
    google::rpc::BadRequest bad;
    for (const auto& [field, description] : violations) {
      auto* violation = bad.add_field_violations();
      violation->set_field(field);
      violation->set_description(description);
    }
    rich.add_details()->PackFrom(bad);
  }
  return {code, message, rich.SerializeAsString()};
}

FakeDaemon::FakeDaemon(std::string socket) : socket_(std::move(socket)) {
  // Never taken back: the end of gRPC, with its last server, may wait ten seconds for a thread of
  // its that polls.
  grpc_init();
  Revive();
}

FakeDaemon::~FakeDaemon() {
  if (server_) Kill();
}

void FakeDaemon::Revive() {
  grpc::ServerBuilder builder;
  builder.AddListeningPort("unix:" + socket_, grpc::InsecureServerCredentials());
  builder.RegisterService(this);
  plugin_.Register(&builder);
  {
    const std::lock_guard lock(mutex_);
    dead_ = false;
  }
  server_ = builder.BuildAndStart();
  ASSERT_NE(server_, nullptr) << "cannot listen on " << socket_;
}

void FakeDaemon::ReviveAnew() {
  {
    const std::lock_guard lock(mutex_);
    ++keeper_pid_;
    next_event_ = 1;
    events_.clear();
    logs_.clear();
    next_log_.clear();
  }
  Revive();
}

void FakeDaemon::Kill() {
  {
    const std::lock_guard lock(mutex_);
    dead_ = true;
  }
  changed_.notify_all();
  server_->Shutdown(std::chrono::system_clock::now());
  server_.reset();
}

void FakeDaemon::Add(const std::string& name, const std::function<void(v1::Plugin&)>& change) {
  v1::Plugin plugin;
  plugin.set_name(name);
  plugin.set_state(v1::Plugin::READY);
  plugin.set_pid(4242);
  plugin.set_instance("a1");
  plugin.set_enabled(true);
  plugin.set_wanted(true);
  *plugin.mutable_state_changed_at() =
      TimeUtil::GetCurrentTime() - TimeUtil::SecondsToDuration(7530);  // 2h05m for half a minute
  if (change) change(plugin);
  const std::lock_guard lock(mutex_);
  plugins_[name] = std::move(plugin);
}

void FakeDaemon::Remove(const std::string& name) {
  const std::lock_guard lock(mutex_);
  const v1::Plugin plugin = plugins_.at(name);
  plugins_.erase(name);
  v1::Event& event = events_.emplace_back();
  event.set_sequence(next_event_++);
  event.set_plugin(name);
  event.set_from(plugin.state());
  event.set_to(v1::Plugin::STOPPED);
  event.set_type("removed");
  changed_.notify_all();
}

void FakeDaemon::Move(const std::string& name, const Step& step) {
  const std::lock_guard lock(mutex_);
  MoveLocked(name, step);
}

void FakeDaemon::MoveLocked(const std::string& name, const Step& step) {
  v1::Plugin& plugin = plugins_.at(name);
  v1::Event event;
  event.set_from(plugin.state());
  plugin.set_state(step.to);
  plugin.set_reason(step.reason);
  if (step.instance != "-") plugin.set_instance(step.instance);
  *plugin.mutable_state_changed_at() = TimeUtil::GetCurrentTime();
  if (step.also) step.also(plugin);
  event.set_sequence(next_event_++);
  *event.mutable_time() = plugin.state_changed_at();
  event.set_plugin(name);
  event.set_to(step.to);
  event.set_reason(step.reason);
  event.set_instance(plugin.instance());
  event.set_pid(plugin.pid());
  event.set_type("changed");
  events_.push_back(std::move(event));
  changed_.notify_all();
}

void FakeDaemon::Log(const std::string& name, v1::LogEntry entry) {
  const std::lock_guard lock(mutex_);
  entry.set_sequence(++next_log_[name]);
  logs_[name].push_back(std::move(entry));
  changed_.notify_all();
}

void FakeDaemon::DropLogsBefore(const std::string& name, uint64_t sequence) {
  const std::lock_guard lock(mutex_);
  std::erase_if(logs_[name],
                [sequence](const v1::LogEntry& entry) { return entry.sequence() < sequence; });
}

void FakeDaemon::Script(const std::string& method, const std::string& name,
                        std::vector<Step> steps) {
  const std::lock_guard lock(mutex_);
  scripts_[{method, name}] = std::move(steps);
}

void FakeDaemon::FailOnce(const std::string& method, grpc::Status status) {
  const std::lock_guard lock(mutex_);
  failures_[method] = std::move(status);
}

void FakeDaemon::BreakOnce(const std::string& method, int items, grpc::Status status) {
  const std::lock_guard lock(mutex_);
  breaks_.insert_or_assign(method, Break{items, std::move(status)});
}

void FakeDaemon::SetReload(v1::ReloadResponse response, std::function<void()> apply) {
  const std::lock_guard lock(mutex_);
  reload_ = std::move(response);
  apply_reload_ = std::move(apply);
}

void FakeDaemon::SetCalls(v1::ListCallsResponse calls) {
  const std::lock_guard lock(mutex_);
  traffic_ = std::move(calls);
}

int FakeDaemon::Calls(const std::string& method) const {
  const std::lock_guard lock(mutex_);
  const auto found = calls_.find(method);
  return found == calls_.end() ? 0 : found->second;
}

void FakeDaemon::AwaitCalls(const std::string& method, int count) const {
  std::unique_lock lock(mutex_);
  ASSERT_TRUE(changed_.wait_for(lock, kPatience,
                                [&] {
                                  const auto found = calls_.find(method);
                                  return found != calls_.end() && found->second >= count;
                                }))
      << method << " was not called";
}

void FakeDaemon::AwaitFollowers(int count) const {
  std::unique_lock lock(mutex_);
  ASSERT_TRUE(changed_.wait_for(lock, kPatience, [&] { return followers_ == count; }))
      << followers_ << " followers, not " << count;
}

grpc::Status FakeDaemon::Note(const std::string& method) {
  const std::lock_guard lock(mutex_);
  ++calls_[method];
  changed_.notify_all();
  const auto failure = failures_.find(method);
  if (failure == failures_.end()) return grpc::Status::OK;
  const grpc::Status status = failure->second;
  failures_.erase(failure);
  return status;
}

grpc::Status FakeDaemon::ListPlugins(Context*, const v1::ListPluginsRequest*,
                                     v1::ListPluginsResponse* response) {
  if (const grpc::Status status = Note("ListPlugins"); !status.ok()) return status;
  const std::lock_guard lock(mutex_);
  for (const auto& [name, plugin] : plugins_) *response->add_plugins() = plugin;
  return grpc::Status::OK;
}

grpc::Status FakeDaemon::GetPlugin(Context*, const v1::GetPluginRequest* request,
                                   v1::GetPluginResponse* response) {
  if (const grpc::Status status = Note("GetPlugin"); !status.ok()) return status;
  const std::lock_guard lock(mutex_);
  const auto found = plugins_.find(request->name());
  if (found == plugins_.end())
    return RichStatus(grpc::StatusCode::NOT_FOUND, "no such plugin", "PLUGIN_NOT_FOUND");
  *response->mutable_plugin() = found->second;
  return grpc::Status::OK;
}

template <typename Response>
grpc::Status FakeDaemon::Change(const std::string& method, const std::string& name,
                                Response* response) {
  if (const grpc::Status status = Note(method); !status.ok()) return status;
  const std::lock_guard lock(mutex_);
  if (!plugins_.contains(name))
    return RichStatus(grpc::StatusCode::NOT_FOUND, "no such plugin", "PLUGIN_NOT_FOUND");
  response->set_event_sequence(next_event_);
  const std::vector<Step> steps = scripts_[{method, name}];
  if (!steps.empty()) MoveLocked(name, steps.front());
  *response->mutable_plugin() = plugins_.at(name);
  for (size_t i = 1; i < steps.size(); ++i) MoveLocked(name, steps[i]);
  return grpc::Status::OK;
}

grpc::Status FakeDaemon::StartPlugin(Context*, const v1::StartPluginRequest* request,
                                     v1::StartPluginResponse* response) {
  return Change("StartPlugin", request->name(), response);
}
grpc::Status FakeDaemon::StopPlugin(Context*, const v1::StopPluginRequest* request,
                                    v1::StopPluginResponse* response) {
  return Change("StopPlugin", request->name(), response);
}
grpc::Status FakeDaemon::RestartPlugin(Context*, const v1::RestartPluginRequest* request,
                                       v1::RestartPluginResponse* response) {
  return Change("RestartPlugin", request->name(), response);
}
grpc::Status FakeDaemon::EnablePlugin(Context*, const v1::EnablePluginRequest* request,
                                      v1::EnablePluginResponse* response) {
  return Change("EnablePlugin", request->name(), response);
}
grpc::Status FakeDaemon::DisablePlugin(Context*, const v1::DisablePluginRequest* request,
                                       v1::DisablePluginResponse* response) {
  return Change("DisablePlugin", request->name(), response);
}

grpc::Status FakeDaemon::Reload(Context*, const v1::ReloadRequest*, v1::ReloadResponse* response) {
  if (const grpc::Status status = Note("Reload"); !status.ok()) return status;
  std::function<void()> apply;
  {
    const std::lock_guard lock(mutex_);
    *response = reload_;
    response->set_event_sequence(next_event_);
    apply = apply_reload_;
  }
  if (apply) apply();
  return grpc::Status::OK;
}

grpc::Status FakeDaemon::Feed(Context* context, const std::string& method, bool follow,
                              const std::function<bool()>& send_next) {
  if (const grpc::Status status = Note(method); !status.ok()) return status;
  std::unique_lock lock(mutex_);
  int left = -1;
  grpc::Status broken;
  if (const auto found = breaks_.find(method); found != breaks_.end()) {
    left = found->second.items;
    broken = found->second.status;
    breaks_.erase(found);
  }
  bool counted = false;
  grpc::Status end;
  for (;;) {
    // A dead daemon says nothing: the call is broken off by Shutdown.
    while (left != 0 && !dead_ && send_next()) --left;
    if (left == 0) {
      end = broken;
      break;
    }
    if (!follow && !dead_) break;
    if (!std::exchange(counted, true)) {
      ++followers_;
      changed_.notify_all();
    }
    if (context->IsCancelled()) {
      end = grpc::Status::CANCELLED;
      break;
    }
    // However it ends, what there is now is looked at again.
    changed_.wait_for(lock, kCancelPoll);
  }
  if (counted) --followers_;
  changed_.notify_all();
  return end;
}

grpc::Status FakeDaemon::StreamLogs(Context* context, const v1::StreamLogsRequest* request,
                                    grpc::ServerWriter<v1::StreamLogsResponse>* writer) {
  uint64_t next = request->from_sequence();
  {
    const std::lock_guard lock(mutex_);
    if (!plugins_.contains(request->name())) {
      return RichStatus(grpc::StatusCode::NOT_FOUND, "no such plugin", "PLUGIN_NOT_FOUND");
    }
    const size_t kept = logs_[request->name()].size();
    if (next == 0 && request->has_tail()) {
      next = next_log_[request->name()] + 1 - std::min<uint64_t>(kept, request->tail());
    }
  }
  return Feed(context, "StreamLogs", request->follow(), [&] {
    for (const v1::LogEntry& entry : logs_[request->name()]) {
      if (entry.sequence() < next) continue;
      v1::StreamLogsResponse response;
      *response.add_entries() = entry;
      next = entry.sequence() + 1;
      return writer->Write(response);
    }
    return false;
  });
}

grpc::Status FakeDaemon::WatchEvents(Context* context, const v1::WatchEventsRequest* request,
                                     grpc::ServerWriter<v1::WatchEventsResponse>* writer) {
  uint64_t next = request->from_sequence();
  return Feed(context, "WatchEvents", request->follow(), [&] {
    for (const v1::Event& event : events_) {
      if (event.sequence() < next ||
          (!request->name().empty() && event.plugin() != request->name()))
        continue;
      v1::WatchEventsResponse response;
      *response.add_events() = event;
      next = event.sequence() + 1;
      return writer->Write(response);
    }
    return false;
  });
}

grpc::Status FakeDaemon::ListCalls(Context*, const v1::ListCallsRequest*,
                                   v1::ListCallsResponse* response) {
  if (const grpc::Status status = Note("ListCalls"); !status.ok()) return status;
  const std::lock_guard lock(mutex_);
  *response = traffic_;
  return grpc::Status::OK;
}

grpc::Status FakeDaemon::GetDaemonInfo(Context*, const v1::GetDaemonInfoRequest*,
                                       v1::GetDaemonInfoResponse* response) {
  if (const grpc::Status status = Note("GetDaemonInfo"); !status.ok()) return status;
  const std::lock_guard lock(mutex_);
  response->set_version("9.8.7");
  response->set_pid(101);
  response->set_keeper_pid(keeper_pid_);
  response->set_event_sequence(next_event_ - 1);
  response->set_plugins(static_cast<uint32_t>(plugins_.size()));
  response->set_phase("running");
  return grpc::Status::OK;
}

}  // namespace plugind::pluginctl::testing
