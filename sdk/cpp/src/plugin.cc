#include "plugind/plugin.h"

#include <fcntl.h>
#include <grpc/grpc.h>
#include <grpcpp/grpcpp.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <vector>

#include "plugind/version.h"
#include "sdk/cpp/src/auto_tls.h"
#include "sdk/cpp/src/broker_service.h"
#include "sdk/cpp/src/capabilities.h"
#include "sdk/cpp/src/drain.h"
#include "sdk/cpp/src/failure.h"
#include "sdk/cpp/src/plugin_impl.h"

namespace plugind {
namespace {

using std::chrono::milliseconds;

void WriteHandshake(int fd, const std::string& line) {
  // One write: hosts take a partial line for the whole.
  const ssize_t written = write(fd, line.data(), line.size());
  if (written < 0) throw sdk::ErrnoFailure(errno, "write the handshake to stdout");
  if (static_cast<size_t>(written) != line.size())
    throw sdk::Failure("stdout took half of the handshake");
}

}  // namespace

void Plugin::Impl::Describe() {
  sdk::Capabilities all;
  for (const CapabilityCall& each : capabilities) all.Add(each.name, each.version, each.required);
  if (contract.on_configure) all.Add("config.reload", "1.0", false);
  if (contract.on_drain) all.Add("drain", "1.0", false);
  for (const char* built_in : {"log.structured", "peer.calls", "trace"}) {
    all.Add(built_in, "1.0", false);
  }
  if (!config_schema.empty() &&
      !nlohmann::json::parse(config_schema, nullptr, /*allow_exceptions=*/false).is_object()) {
    throw sdk::Failure("config_schema is no JSON object");
  }

  auto& description = contract.description;
  description.set_name(name);
  description.set_version(version);
  description.set_config_schema(config_schema);
  for (const sdk::Capability& each : all.All()) {
    auto* capability = description.add_capabilities();
    capability->set_name(each.name);
    for (const std::string& each_version : each.versions) capability->add_versions(each_version);
    capability->set_required(each.required);
  }
  description.mutable_sdk()->set_language("c++");
  description.mutable_sdk()->set_version(PLUGIND_VERSION);
}

sdk::Server Plugin::Impl::Build(const std::vector<grpc::Service*>& more,
                                const std::shared_ptr<grpc::ServerCredentials>& credentials) {
  std::vector<grpc::Service*> all = services;
  all.insert(all.end(), {&health, &contract});
  all.insert(all.end(), more.begin(), more.end());
  sdk::Server built = sdk::BuildServer(all, credentials, configure);
  std::sort(built.services.begin(), built.services.end());
  for (const std::string& service : built.services) {
    health.Add(service);
    if (!sdk::IsInfrastructure(service)) contract.description.add_services(service);
  }
  return built;
}

void Plugin::Impl::PrintInfo() const {
  const sdk::Server built =
      sdk::BuildServer(services, grpc::InsecureServerCredentials(), configure);
  nlohmann::ordered_json info;
  info["name"] = name;
  info["version"] = version;
  std::set<std::string> own;
  for (const std::string& service : built.services) {
    if (!sdk::IsInfrastructure(service)) own.insert(service);
  }
  info["services"] = own;
  info["protocolVersions"] = ProtocolVersions();
  info["capabilities"] = nlohmann::ordered_json::array();
  for (const auto& each : contract.description.capabilities()) {
    nlohmann::ordered_json capability;
    capability["name"] = each.name();
    capability["versions"] =
        std::vector<std::string>(each.versions().begin(), each.versions().end());
    capability["required"] = each.required();
    info["capabilities"].push_back(std::move(capability));
  }
  if (!config_schema.empty()) {
    info["configSchema"] = nlohmann::ordered_json::parse(config_schema);
  }
  info["sdk"] = {{"language", "c++"}, {"version", PLUGIND_VERSION}};
  std::printf("%s\n", info.dump(2, ' ', false, nlohmann::json::error_handler_t::replace).c_str());
  std::fflush(stdout);
}

// What someone reads who ran the plugin by hand.
void Plugin::Impl::Explain(const sdk::Offer& offer, const std::string& program) const {
  if (!offer.cookie.empty()) {
    std::fprintf(
        stderr,
        "%s: %s is set, but to another value than this plugin was made for.\n"
        "The host that started it expects another kind of plugin; magic_cookie in its plugind\n"
        "configuration must say value = \"%s\".\n",
        name.c_str(), cookie_key.c_str(), cookie_value.c_str());
    return;
  }
  const bool own_cookie = cookie_key != "PLUGIND_PLUGIN" || cookie_value != "1";
  const std::string cookie_line = own_cookie ? "    magic_cookie = { key = \"" + cookie_key +
                                                   "\", value = \"" + cookie_value + "\" }\n"
                                             : "";
  std::fprintf(
      stderr,
      "%s %s is a plugin: a host starts it and calls it over gRPC. By itself it does nothing.\n"
      "To run it under plugind, write plugins.d/%s.toml beside plugind.toml:\n"
      "\n"
      "    command = [\"%s\"]\n"
      "%s"
      "\n"
      "then: pluginctl reload && pluginctl status %s\n"
      "What it serves: %s --plugind-info\n",
      name.c_str(), version.c_str(), name.c_str(), program.c_str(), cookie_line.c_str(),
      name.c_str(), program.c_str());
}

void Plugin::Impl::Serve(const sdk::Offer& offer) {
  sdk::CheckSupported(offer);
  lifeline.Attach();
  // Never taken back: gRPC's own end may wait ten seconds for a thread of its that polls, and hosts
  // kill whoever takes two.
  grpc_init();

  const sdk::Fd host_stdout(fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3));
  if (!host_stdout.valid()) throw sdk::ErrnoFailure(errno, "stdout, which carries the handshake");

  // plugind reads our stdout for ever, so a print becomes a log line of itself. Other hosts discard
  // it after the handshake, and take any earlier print for a broken one: for them it goes over
  // GRPCStdio, from this point on.
  sdk::StdioService stdio;
  std::optional<sdk::StdoutCapture> capture;
  if (!offer.FromPlugind()) {
    capture.emplace(host_stdout.get(), [&stdio](std::string_view data) { stdio.Print(data); });
  }
  std::fflush(stdout);
  std::setvbuf(stdout, nullptr, _IOLBF, BUFSIZ);

  if (on_start) on_start();

  sdk::BrokerService broker;
  sdk::ControllerService controller([this] { lifeline.RequestStop(); });
  std::shared_ptr<grpc::ServerCredentials> credentials = grpc::InsecureServerCredentials();
  std::string certificate;
  if (!offer.client_cert.empty()) {
    const sdk::ThrowAwayIdentity identity = sdk::MakeThrowAwayIdentity();
    credentials = sdk::TrustOnly(offer.client_cert, identity);
    certificate = identity.encoded;
  }
  const sdk::Server built = Build({&stdio, &controller, &broker}, credentials);

  // plugind's directory is this process's own; others are shared, and the name must be free.
  sdk::UnixListener listener(sdk::SocketDirectory(offer), offer.FromPlugind() ? "p.sock" : "",
                             offer.socket_group);
  listener.Start([&built](int fd) { built.Accept(fd); });

  const std::string refusal =
      sdk::NothingInCommon(name, offer.protocol_versions, ProtocolVersions());
  if (!refusal.empty()) std::fprintf(stderr, "%s\n", refusal.c_str());
  WriteHandshake(host_stdout.get(),
                 sdk::HandshakeLine(sdk::Negotiate(offer.protocol_versions, ProtocolVersions()),
                                    listener.path(), certificate));

  if (lifeline.Wait(host_stdout.get()) == sdk::Lifeline::End::kOrphaned) {
    log(LogLevel::kWarn, "the host is gone; stopping", {{"plugin", name}});
  }
  Shutdown(listener, capture ? &*capture : nullptr, stdio, broker, built);
}

// Health first, so that the host sends no more; then no new connections; then the author's say;
// then the streams of the SDK, which the server would otherwise wait for; then the running calls.
void Plugin::Impl::Shutdown(sdk::UnixListener& listener, sdk::StdoutCapture* capture,
                            sdk::StdioService& stdio, sdk::BrokerService& broker,
                            const sdk::Server& server) {
  health.End();
  listener.Stop();
  End();
  // What calls print from here on goes to the real stdout.
  if (capture != nullptr) capture->Stop();
  stdio.End();
  broker.End();
  sdk::Drain(server, shutdown_timeout, sdk::Late::kExit);
}

void Plugin::Impl::End() {
  health.End();
  if (!on_shutdown) return;
  try {
    on_shutdown();
  } catch (const std::exception& error) {
    log(LogLevel::kError, "on_shutdown threw; going on without it",
        {{"plugin", name}, {"error", error.what()}});
  }
}

Plugin::Plugin(std::string name, std::string version) : impl_(std::make_unique<Impl>()) {
  impl_->name = std::move(name);
  impl_->version = std::move(version);
  impl_->contract.on_shutdown = [impl = impl_.get()] { impl->lifeline.RequestStop(); };
}

Plugin::~Plugin() = default;

Plugin& Plugin::service(grpc::Service* service) {
  impl_->services.push_back(service);
  return *this;
}

Plugin& Plugin::cookie(std::string key, std::string value) {
  impl_->cookie_key = std::move(key);
  impl_->cookie_value = std::move(value);
  return *this;
}

Plugin& Plugin::protocol_version(int version) {
  impl_->protocol_versions.push_back(version);
  return *this;
}

Plugin& Plugin::on_start(std::function<void()> hook) {
  impl_->on_start = std::move(hook);
  return *this;
}

Plugin& Plugin::on_shutdown(std::function<void()> hook) {
  impl_->on_shutdown = std::move(hook);
  return *this;
}

Plugin& Plugin::shutdown_timeout(milliseconds timeout) {
  impl_->shutdown_timeout = timeout;
  return *this;
}

Plugin& Plugin::configure(std::function<void(grpc::ServerBuilder&)> hook) {
  impl_->configure = std::move(hook);
  return *this;
}

Plugin& Plugin::provides(std::string capability, std::string version) {
  impl_->capabilities.push_back({std::move(capability), std::move(version), false});
  return *this;
}

Plugin& Plugin::require(std::string capability, std::string version) {
  impl_->capabilities.push_back({std::move(capability), std::move(version), true});
  return *this;
}

Plugin& Plugin::config_schema(std::string json) {
  impl_->config_schema = std::move(json);
  return *this;
}

Plugin& Plugin::OnConfigure(std::function<Violations(const Settings&)> hook) {
  impl_->contract.on_configure = std::move(hook);
  return *this;
}

Plugin& Plugin::on_drain(std::function<void()> hook) {
  impl_->contract.on_drain = std::move(hook);
  return *this;
}

std::optional<std::string> Plugin::agreed(const std::string& capability) const {
  return impl_->contract.agreed(capability);
}

Settings Plugin::settings() const { return impl_->contract.settings(); }

std::shared_ptr<grpc::Channel> Plugin::peer(const std::string& name) {
  return impl_->host.Peer(name);
}

Identity Plugin::identity() const { return impl_->host.Self(); }

std::vector<Peer> Plugin::peers() const { return impl_->host.Peers(); }

void Plugin::set_status(std::string text) { impl_->host.SetStatus(std::move(text)); }

void Plugin::set_serving(bool serving) { impl_->health.SetServing(serving); }

void Plugin::stop() { impl_->lifeline.RequestStop(); }

int Plugin::serve(int argc, char** argv) {
  try {
    impl_->Describe();
    for (int i = 1; i < argc; ++i) {
      if (std::string_view(argv[i]) == "--plugind-info") {
        impl_->PrintInfo();
        return 0;
      }
    }
    const sdk::Offer offer = sdk::ReadOffer(impl_->cookie_key);
    if (offer.cookie != impl_->cookie_value) {
      std::error_code error;
      const std::string given = argc > 0 ? argv[0] : impl_->name;
      const std::filesystem::path program = std::filesystem::read_symlink("/proc/self/exe", error);
      impl_->Explain(offer, error ? given : program.string());
      return 1;
    }
    impl_->Serve(offer);
    return 0;
  } catch (const std::exception& error) {
    log(LogLevel::kError, "cannot serve: " + std::string(error.what()), {{"plugin", impl_->name}});
    return 1;
  }
}

}  // namespace plugind
