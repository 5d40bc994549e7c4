// Where calls go and who may make them: an immutable value that the supervisor's thread builds at
// every change and publishes; each gateway thread reads the one that it was handed last. What lives
// longer than one table (a plugin's calls in flight, its retry budget) is shared by the tables.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/base/clock.h"
#include "daemon/base/unique_fd.h"
#include "daemon/gateway/caller.h"
#include "daemon/tls/client.h"

namespace plugind::gateway {

// A process that serves a plugin's calls. Instances are told apart by address of the object.
struct Instance {
  void Enter() const { in_flight.fetch_add(1, std::memory_order_relaxed); }
  void Leave() const {
    if (in_flight.fetch_sub(1, std::memory_order_acq_rel) == 1 && draining.load()) drained();
  }

  std::string id;
  // The last call has ended after Gateway::Drain; on a gateway thread.
  std::function<void()> drained;
  // A new connected, non-blocking stream socket whose other end is known to be that process; or
  // invalid, with the cause in `error`. Any gateway thread; does not block.
  std::function<UniqueFd(std::string* error)> connect;
  tls::ClientPtr tls;  // what is spoken on that socket; null: nothing but HTTP/2
  mutable std::atomic<uint32_t> in_flight{0};
  mutable std::atomic<bool> draining{false};
};
using InstancePtr = std::shared_ptr<const Instance>;  // shared: calls outlive the table

// Of one plugin, over all threads and tables.
struct PluginLoad {
  std::atomic<uint32_t> in_flight{0};
  // Hundredths of a call: every call adds 20, sending one again takes 100. So in the long run one
  // call in five is sent again, and a plugin that fails is not melted by retries.
  std::atomic<int32_t> retry_budget{1000};
};

enum class Availability : uint8_t {
  kReady,   // has instances that take calls
  kComing,  // has none, but is expected to: calls are held
  kAbsent,  // stopped, failed, quarantined: calls are refused at once
};

struct Route {
  std::string plugin;
  Availability availability = Availability::kAbsent;
  std::string reason;  // unless kReady: "greeter is QUARANTINED: 5 failures in 60 s"
  std::vector<InstancePtr> instances;  // those that take new calls
  std::shared_ptr<PluginLoad> load;

  CallerSet callers;
  bool callers_set = false;  // the configuration says who; otherwise root and plugind's own user
  std::vector<std::string> calls;  // peers it may call: "kv/*", "kv/pkg.Service/Method"

  bool peer_calls = true;  // false: it did not agree on the capability, and may call none of them
  bool begins_traces = true;  // a call without a traceparent is given one

  Duration timeout = Duration::zero();            // for callers without a deadline; 0: none
  uint32_t max_in_flight = 0;                     // 0: no limit
  std::set<std::string, std::less<>> idempotent;  // method paths
};
using RoutePtr = std::shared_ptr<const Route>;

enum class Role : uint8_t {
  kNone,
  kViewer,
  kOperator,
  kAdmin
};
std::string_view ToString(Role role);  // as the control server reads it

struct RouteTable {
  std::map<std::string, RoutePtr, std::less<>> plugins;
  std::map<std::string, std::vector<std::string>, std::less<>> services;  // → plugins' names
  // The control server, and the services that are its own on plugind.sock.
  RoutePtr control;
  std::set<std::string, std::less<>> control_services;
  CallerSet viewers, operators, admins;
  // Main processes of instances: who connects from one of their trees is that plugin, whatever its
  // uid and whichever socket it takes.
  std::map<int, std::string> processes;
  // Whose child every plugin's process is, also those that have fled from its tree, and those whose
  // plugin is not known yet or no longer. 0: not known.
  int keeper = 0;
  Duration hold = std::chrono::seconds(10);
  Duration spin = std::chrono::microseconds(50);

  Role RoleOf(const Caller& caller) const;
};
using RouteTablePtr = std::shared_ptr<const RouteTable>;

// Why nobody may call `method` of a plugin: it is a service by which hosts manage their plugins.
// Empty if it is none.
std::string HostsOnly(std::string_view method);
// Why `caller` may not call `method` ("/pkg.Service/Method") of `route`; empty if it may. Names the
// caller, the plugin, the method and the setting that would allow it.
std::string Denial(const RouteTable& table, const Caller& caller, const Route& route,
                   std::string_view method);
// The same for the control server, as far as it can be said without knowing its methods: who has no
// role at all may not call it.
std::string ControlDenial(const RouteTable& table, const Caller& caller, std::string_view method);

}  // namespace plugind::gateway
