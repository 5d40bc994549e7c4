// pluginctl reattach: what a host built on go-plugin needs to use a plugin that plugind runs.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "daemon/pluginctl/error.h"
#include "daemon/pluginctl/state.h"
#include "daemon/pluginctl/text.h"
#include "daemon/pluginctl/verbs/verbs.h"

namespace plugind::pluginctl {
namespace {

// Why no host can attach to it; empty if one can.
std::string Obstacle(const v1::Plugin& plugin, bool gateway) {
  const bool runs = plugin.state() == v1::Plugin::READY || plugin.state() == v1::Plugin::UNREADY;
  if (!runs || plugin.pid() == 0) {
    const std::string reason =
        plugin.reason().empty() ? "" : " (" + Printable(plugin.reason()) + ")";
    return fmt::format("{} is {}{}: there is no process that serves", plugin.name(),
                       StateName(plugin.state()), reason);
  }
  if (gateway) {
    return plugin.address().empty() ? plugin.name() + " has no address behind the gateway" : "";
  }
  if (plugin.direct_address().empty()) return plugin.name() + " has no address of its own";
  if (plugin.auto_mtls()) {
    return fmt::format(
        "{} speaks TLS with plugind's certificate (auto_mtls), which no other host has; with "
        "--gateway the host goes through plugind",
        plugin.name());
  }
  return "";
}

nlohmann::ordered_json Reattachment(const v1::Plugin& plugin, bool gateway) {
  constexpr std::string_view kUnix = "unix:";
  const std::string& target = gateway ? plugin.address() : plugin.direct_address();
  const bool is_unix = target.starts_with(kUnix);
  return {
      {"Protocol", "grpc"},
      {"ProtocolVersion", plugin.protocol_version()},
      {"Pid", plugin.pid()},
      // The host neither ends the process nor asks it to end: it is plugind's.
      {"Test", true},
      {"Addr",
       {{"Network", is_unix ? "unix" : "tcp"},
        {"String", is_unix ? target.substr(kUnix.size()) : target}}},
  };
}

}  // namespace

ExitCode RunReattach(Context& context, const ReattachOptions& options) {
  v1::GetPluginRequest request;
  request.set_name(options.name);
  v1::GetPluginResponse response;
  const grpc::Status status = context.connection.Call(&Stub::GetPlugin, request, &response);
  if (!status.ok()) return Report(context.connection, status, options.name);
  const v1::Plugin& plugin = response.plugin();
  if (const std::string obstacle = Obstacle(plugin, options.gateway); !obstacle.empty()) {
    Complain(obstacle);
    return ExitCode::kFailed;
  }
  nlohmann::ordered_json document = Reattachment(plugin, options.gateway);
  if (!options.provider.empty()) document = {{options.provider, std::move(document)}};
  context.out.Write(
      document.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + '\n');
  return ExitCode::kDone;
}

}  // namespace plugind::pluginctl
