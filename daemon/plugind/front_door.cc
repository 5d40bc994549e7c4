#include "daemon/plugind/front_door.h"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "daemon/plugind/routes.h"
#include "daemon/rpc/dial.h"

namespace plugind {
namespace {

constexpr char kFront[] = "plugind.sock";
constexpr std::string_view kHostPrefix = "i/";          // i/ID/host.sock
constexpr std::string_view kPluginPrefix = "plugins/";  // plugins/NAME.sock
constexpr std::string_view kDoorPrefix = "door:";       // of names that the keeper knows

std::string HostName(const std::string& instance) {
  return std::string(kHostPrefix) + instance + "/host.sock";
}
std::string PluginName(const std::string& plugin) {
  return std::string(kPluginPrefix) + plugin + ".sock";
}
std::string KeptAs(const std::string& name) { return std::string(kDoorPrefix) + name; }

// What the control server answers on plugind.sock; everything else is plugins'.
const std::set<std::string, std::less<>> kControlServices = {
    "plugind.control.v1.PluginControl",
    "plugind.host.v1.Host",
    "grpc.health.v1.Health",
    "grpc.reflection.v1alpha.ServerReflection",
    "grpc.reflection.v1.ServerReflection",
};

gateway::Limits LimitsOf(const config::GatewayLimits& configured) {
  gateway::Limits limits;
  limits.held_calls = configured.held_calls;
  limits.connections_per_caller = configured.connections_per_caller;
  limits.streams_per_connection = configured.streams_per_connection;
  limits.header_bytes = static_cast<uint32_t>(configured.metadata);
  limits.handshake = configured.handshake_timeout;
  limits.resets_per_second = configured.resets_per_second;
  limits.control_frames_per_second = configured.control_frames_per_second;
  return limits;
}

}  // namespace

FrontDoor::FrontDoor(Parts parts, const config::DaemonConfig& config)
    : parts_(std::move(parts)),
      gateway_(std::make_unique<gateway::Gateway>(config.gateway_threads,
                                                  LimitsOf(config.gateway_limits), clock_,
                                                  std::move(parts_.told))) {
  auto control = std::make_shared<gateway::Instance>();
  control->id = "control";
  control->connect = [serve = parts_.serve_control](std::string* error) {
    int pair[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0) {
      *error = std::strerror(errno);
      return UniqueFd();
    }
    serve(UniqueFd(pair[1]));
    return UniqueFd(pair[0]);
  };
  auto route = std::make_shared<gateway::Route>();
  route->plugin = "plugind";
  route->availability = gateway::Availability::kReady;
  route->instances.push_back(std::move(control));
  table_.control = std::move(route);
  table_.control_services = kControlServices;
  table_.keeper = ::getppid();
}

FrontDoor::~FrontDoor() = default;

absl::Status FrontDoor::Open(std::map<std::string, UniqueFd>& inherited) {
  for (auto it = inherited.begin(); it != inherited.end();) {
    auto next = std::next(it);
    if (it->first.starts_with(kDoorPrefix)) {
      inherited_.emplace(it->first.substr(kDoorPrefix.size()), std::move(it->second));
      inherited.erase(it);
    }
    it = next;
  }
  auto front = inherited_.extract(kFront);
  ASSIGN_OR_RETURN(
      front_, ListeningSocket::Open(parts_.runtime_dir + "/" + kFront, KeptAs(kFront),
                                    front ? std::move(front.mapped()) : UniqueFd(), parts_.keeper));
  return absl::OkStatus();
}

absl::Status FrontDoor::OpenHost(const std::string& plugin, const std::string& instance) {
  const std::string name = HostName(instance);
  ASSIGN_OR_RETURN(ListeningSocket socket,
                   ListeningSocket::Open(parts_.runtime_dir + "/" + name, KeptAs(name), UniqueFd(),
                                         parts_.keeper));
  hosts_.emplace(instance, Host{std::move(socket)});
  changed_.insert(plugin);
  return absl::OkStatus();
}

void FrontDoor::CloseHost(const std::string& instance) {
  auto node = hosts_.extract(instance);
  if (!node) return;
  gateway_->StopListening(HostName(instance));
  node.mapped().socket.Remove(parts_.keeper);
}

void FrontDoor::OpenPluginSocket(const std::string& plugin) {
  if (plugin_sockets_.contains(plugin)) return;
  const std::string name = PluginName(plugin);
  auto kept = inherited_.extract(name);
  auto socket = ListeningSocket::Open(parts_.runtime_dir + "/" + name, KeptAs(name),
                                      kept ? std::move(kept.mapped()) : UniqueFd(), parts_.keeper);
  if (!socket.ok()) {
    // It is still reached by plugind.sock, and status shows no address.
    return parts_.report(
        fmt::format("plugin {} has no address: {}", plugin, Message(socket.status())));
  }
  unopened_.emplace(name, gateway::Door{gateway::Door::Kind::kPlugin, plugin});
  plugin_sockets_.emplace(plugin, *std::move(socket));
}

void FrontDoor::Listen(const std::string& name, const ListeningSocket& socket,
                       const gateway::Door& door) {
  if (gateway_->Listen(name, socket.fd(), door)) return;
  parts_.report(fmt::format("nobody is let in at {}: {}", socket.path(), std::strerror(errno)));
}

void FrontDoor::ClosePluginSocket(const std::string& plugin) {
  auto node = plugin_sockets_.extract(plugin);
  if (!node) return;
  gateway_->StopListening(PluginName(plugin));
  node.mapped().Remove(parts_.keeper);
}

std::vector<gateway::CallTotals> FrontDoor::Calls() const {
  return gateway::AddUp([this](const gateway::SeriesVisit& visit) { gateway_->EachSeries(visit); });
}

std::string FrontDoor::AddressOf(const std::string& plugin) const {
  const auto socket = plugin_sockets_.find(plugin);
  return socket == plugin_sockets_.end() ? "" : "unix:" + socket->second.path();
}

void FrontDoor::Refresh(const supervisor::Supervisor& supervisor, const std::string& plugin) {
  if (plugin.empty()) {
    all_changed_ = true;
  } else {
    changed_.insert(plugin);
  }
  if (!accepting_ || std::exchange(scheduled_, true)) return;
  parts_.loop.Post([this, &supervisor] {
    scheduled_ = false;
    if (front_) Publish(supervisor);
  });
}

void FrontDoor::Begin(const supervisor::Supervisor& supervisor) {
  all_changed_ = true;
  for (auto& [name, fd] : inherited_) {
    if (!name.starts_with(kHostPrefix)) continue;
    const std::string instance =
        name.substr(kHostPrefix.size(), name.rfind('/') - kHostPrefix.size());
    auto socket = ListeningSocket::Open(parts_.runtime_dir + "/" + name, KeptAs(name),
                                        std::move(fd), parts_.keeper);
    if (socket.ok()) {
      hosts_.emplace(instance, Host{*std::move(socket)});
    } else {
      parts_.report(fmt::format("instance {} cannot reach its peers: {}", instance,
                                Message(socket.status())));
    }
  }
  std::erase_if(inherited_, [](const auto& one) { return one.first.starts_with(kHostPrefix); });
  Publish(supervisor);
  accepting_ = true;
  DropStale();
  Listen(kFront, *front_, {gateway::Door::Kind::kFront, ""});
}

gateway::InstancePtr FrontDoor::InstanceFor(const supervisor::PluginStatus& status) {
  gateway::InstancePtr& present = instances_[status.name];
  if (present != nullptr && present->id == status.instance) return present;
  auto instance = std::make_shared<gateway::Instance>();
  instance->id = status.instance;
  const supervisor::Endpoint endpoint{status.name, status.instance, status.pid,
                                      parts_.runtime_dir + "/i/" + status.instance,
                                      *status.handshake};
  instance->tls = status.tls;
  instance->drained = [this, id = status.instance] {
    parts_.loop.Post([this, id] { parts_.drained(id); });
  };
  instance->connect = [endpoint](std::string* error) {
    absl::StatusOr<UniqueFd> fd = rpc::Dial(endpoint);
    if (fd.ok()) return *std::move(fd);
    *error = Message(fd.status());
    return UniqueFd();
  };
  present = std::move(instance);
  return present;
}

void FrontDoor::Drain(const std::string& plugin, const std::string& instance) {
  const auto present = instances_.find(plugin);
  if (present == instances_.end() || present->second->id != instance) {
    // No call has ever been sent there.
    return parts_.loop.Post([this, instance] { parts_.drained(instance); });
  }
  draining_.push_back(present->second);
}

void FrontDoor::Look(const supervisor::Supervisor& supervisor, const std::string& plugin) {
  const auto& configured = supervisor.config().plugins;
  const auto config = configured.find(plugin);
  const auto status = supervisor.Get(plugin);
  Unlist(plugin);
  if (!status.ok() || config == configured.end()) {
    table_.plugins.erase(plugin);
    loads_.erase(plugin);
    instances_.erase(plugin);
    ClosePluginSocket(plugin);
    return;
  }
  OpenPluginSocket(plugin);
  auto& load = loads_[plugin];
  if (load == nullptr) load = std::make_shared<gateway::PluginLoad>();
  const bool ready = status->state == supervisor::State::kReady && status->handshake;
  table_.plugins[plugin] =
      MakeRoute(config->second, *status, load, ready ? InstanceFor(*status) : nullptr);
  const auto host = hosts_.find(status->instance);
  if (host != hosts_.end() && status->pid > 0 && !std::exchange(host->second.listening, true)) {
    unopened_.emplace(HostName(status->instance),
                      gateway::Door{gateway::Door::Kind::kHost, plugin});
  }
  List(*status);
}

void FrontDoor::List(const supervisor::PluginStatus& status) {
  const std::string& plugin = known_.insert_or_assign(status.name, status).first->first;
  if (status.pid > 0) table_.processes.insert_or_assign(status.pid, plugin);
  for (const std::string& service : status.services) {
    std::vector<std::string>& providers = table_.services[service];
    const auto place = std::lower_bound(providers.begin(), providers.end(), plugin);
    if (place == providers.end() || *place != plugin) providers.insert(place, plugin);
  }
}

void FrontDoor::Unlist(const std::string& plugin) {
  const auto known = known_.extract(plugin);
  if (!known) return;
  const auto process = table_.processes.find(known.mapped().pid);
  // Unless the number is another's by now.
  if (process != table_.processes.end() && process->second == plugin) {
    table_.processes.erase(process);
  }
  for (const std::string& service : known.mapped().services) {
    const auto providers = table_.services.find(service);
    if (providers == table_.services.end()) continue;  // a service that was listed twice
    std::erase(providers->second, plugin);
    if (providers->second.empty()) table_.services.erase(providers);
  }
}

void FrontDoor::Publish(const supervisor::Supervisor& supervisor) {
  if (std::exchange(all_changed_, false)) {
    for (const auto& [name, status] : known_) changed_.insert(name);
    for (const auto& [name, config] : supervisor.config().plugins) changed_.insert(name);
    const config::DaemonConfig& daemon = supervisor.config().daemon;
    table_.viewers = CallersOf(daemon.viewers);
    table_.operators = CallersOf(daemon.operators);
    table_.admins = CallersOf(daemon.admins);
    table_.admins.AddUid(0);
    table_.admins.AddUid(::geteuid());
    table_.hold = daemon.gateway_hold;
    table_.spin = daemon.gateway_spin;
  }
  for (const std::string& name : std::exchange(changed_, {})) Look(supervisor, name);
  gateway_->Publish(std::make_shared<const gateway::RouteTable>(table_));
  for (const auto& instance : std::exchange(draining_, {})) gateway_->Drain(instance);
  // Each thread takes the table first: plugins and their processes are known before anyone is let
  // in who asks for one or is one.
  for (const auto& [name, door] : std::exchange(unopened_, {})) {
    const ListeningSocket& socket = door.kind == gateway::Door::Kind::kHost
                                        ? hosts_.at(known_.at(door.plugin).instance).socket
                                        : plugin_sockets_.at(door.plugin);
    Listen(name, socket, door);
  }
}

// Sockets of plugins and instances that are no more.
void FrontDoor::DropStale() {
  std::set<std::string> live;
  for (const auto& [name, status] : known_) live.insert(status.instance);
  std::set<std::string> stale;
  for (const auto& [instance, host] : hosts_) {
    if (!live.contains(instance)) stale.insert(instance);
  }
  for (const std::string& instance : stale) CloseHost(instance);
  for (const auto& [name, fd] : inherited_) {
    ::unlink((parts_.runtime_dir + "/" + name).c_str());
    parts_.keeper.DropFd(KeptAs(name));
  }
  inherited_.clear();
}

void FrontDoor::Close() {
  gateway_->StopListening(kFront);
  if (front_) front_->Remove(parts_.keeper);
  front_.reset();
  while (!plugin_sockets_.empty()) ClosePluginSocket(plugin_sockets_.begin()->first);
  while (!hosts_.empty()) CloseHost(hosts_.begin()->first);
  auto closing = std::make_shared<gateway::Route>(*table_.control);
  closing->availability = gateway::Availability::kAbsent;
  closing->reason = "plugind is stopping";
  closing->instances.clear();
  table_.control = std::move(closing);
  gateway_->Publish(std::make_shared<const gateway::RouteTable>(table_));
  gateway_->Settle();
}

}  // namespace plugind
