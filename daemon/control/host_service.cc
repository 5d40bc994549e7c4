#include "daemon/control/host_service.h"

#include <algorithm>
#include <utility>

#include "daemon/control/access.h"
#include "daemon/control/convert.h"

namespace plugind::control {
namespace {

constexpr std::string_view kPlugin = "plugin:";
constexpr size_t kMaxStatusText = 1024;

// What of `peer` the caller's own [access] calls allows, and the peer's [access] callers too.
std::vector<std::string> Callable(const config::PluginConfig& caller,
                                  const config::PluginConfig& peer) {
  std::vector<std::string> methods;
  const auto& callers = peer.access.callers;
  const bool admitted = callers.empty() || std::ranges::count(callers, "*") > 0 ||
                        std::ranges::count(callers, std::string(kPlugin) + caller.name) > 0;
  if (!admitted) return methods;
  for (const std::string& pattern : caller.access.calls) {
    const size_t slash = pattern.find('/');
    if (pattern.substr(0, slash) == peer.name) methods.push_back(pattern.substr(slash + 1));
  }
  return methods;
}

}  // namespace

grpc::ServerUnaryReactor* HostService::Answer(
    grpc::CallbackServerContext* context,
    std::function<grpc::Status(const supervisor::PluginStatus&)> answer) {
  grpc::ServerUnaryReactor* const reactor = context->DefaultReactor();
  loop_.Post([this, reactor, caller = CallerOf(*context).name, answer = std::move(answer)] {
    if (!caller.starts_with(kPlugin)) {
      return reactor->Finish({grpc::StatusCode::PERMISSION_DENIED, caller + " is no plugin"});
    }
    const auto status = supervisor_.Get(caller.substr(kPlugin.size()));
    reactor->Finish(status.ok() ? answer(*status) : ToGrpc(status.status()));
  });
  return reactor;
}

grpc::ServerUnaryReactor* HostService::GetSelf(grpc::CallbackServerContext* context,
                                               const host::v1::GetSelfRequest*,
                                               host::v1::GetSelfResponse* response) {
  return Answer(context, [response](const supervisor::PluginStatus& self) {
    response->set_name(self.name);
    response->set_instance(self.instance);
    response->set_protocol_version(self.protocol_version);
    for (const auto& [name, version] : self.capabilities) {
      (*response->mutable_capabilities())[name] = version;
    }
    response->set_host("plugind");
    response->set_host_version(PLUGIND_VERSION);
    return grpc::Status::OK;
  });
}

grpc::ServerUnaryReactor* HostService::ListPeers(grpc::CallbackServerContext* context,
                                                 const host::v1::ListPeersRequest*,
                                                 host::v1::ListPeersResponse* response) {
  return Answer(context, [this, response](const supervisor::PluginStatus& self) {
    const auto& plugins = supervisor_.config().plugins;
    const auto own = plugins.find(self.name);
    if (own == plugins.end()) return grpc::Status::OK;  // removed, and on its way out
    for (const auto& [name, config] : plugins) {
      const std::vector<std::string> methods = Callable(own->second, config);
      const auto status = supervisor_.Get(name);
      if (methods.empty() || !status.ok()) continue;
      host::v1::Peer* const peer = response->add_peers();
      peer->set_name(name);
      peer->set_state(std::string(supervisor::ToString(status->state)));
      peer->set_version(status->version);
      for (const std::string& service : status->services) peer->add_services(service);
      for (const std::string& method : methods) peer->add_methods(method);
    }
    return grpc::Status::OK;
  });
}

grpc::ServerUnaryReactor* HostService::SetStatus(grpc::CallbackServerContext* context,
                                                 const host::v1::SetStatusRequest* request,
                                                 host::v1::SetStatusResponse*) {
  return Answer(context, [this, request](const supervisor::PluginStatus& self) -> grpc::Status {
    if (request->text().size() > kMaxStatusText) {
      return {grpc::StatusCode::INVALID_ARGUMENT,
              "a status text of " + std::to_string(request->text().size()) + " bytes, more than " +
                  std::to_string(kMaxStatusText)};
    }
    supervisor_.SetStatusText(self.name, request->text());
    return grpc::Status::OK;
  });
}

}  // namespace plugind::control
