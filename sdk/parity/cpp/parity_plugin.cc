// The parity plugin in C++; see ../README.md.
#include <grpcpp/grpcpp.h>
#include <plugind/plugin.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>

#include "parity.grpc.pb.h"

namespace {

using namespace parity::v1;  // NOLINT: all of this file is about it
using std::chrono::milliseconds;

constexpr char kSchema[] = R"({"type": "object", "properties": {"greeting": {"type": "string"}, )"
                           R"("max": {"type": "integer", "maximum": 100}}})";
constexpr std::chrono::seconds kPeerDeadline{3};

std::string Variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

plugind::LogLevel LevelOf(std::string_view name) {
  if (name == "trace") return plugind::LogLevel::kTrace;
  if (name == "debug") return plugind::LogLevel::kDebug;
  if (name == "warn") return plugind::LogLevel::kWarn;
  if (name == "error") return plugind::LogLevel::kError;
  return plugind::LogLevel::kInfo;
}

class ParityService final : public Parity::Service {
 public:
  explicit ParityService(plugind::Plugin& plugin) : plugin_(plugin) {}

  grpc::Status Echo(grpc::ServerContext* context, const EchoRequest* request,
                    EchoResponse* response) override {
    constexpr std::string_view kBinary = "-bin";
    response->set_text(request->text());
    for (const auto& [key, value] : context->client_metadata()) {
      const std::string name(key.data(), key.size());
      if (name.size() >= kBinary.size() &&
          std::string_view(name).substr(name.size() - kBinary.size()) == kBinary) {
        continue;
      }
      (*response->mutable_metadata())[name] = std::string(value.data(), value.size());
    }
    return grpc::Status::OK;
  }

  grpc::Status Sleep(grpc::ServerContext* context, const SleepRequest* request,
                     SleepResponse* /*response*/) override {
    const auto end = std::chrono::steady_clock::now() + milliseconds(request->milliseconds());
    while (!context->IsCancelled() && std::chrono::steady_clock::now() < end) {
      std::this_thread::sleep_until(
          std::min(end, std::chrono::steady_clock::now() + milliseconds(50)));
    }
    return grpc::Status::OK;
  }

  grpc::Status Print(grpc::ServerContext* /*context*/, const PrintRequest* request,
                     PrintResponse* /*response*/) override {
    (request->to_stderr() ? std::cerr : std::cout) << request->text() << '\n';
    return grpc::Status::OK;
  }

  grpc::Status Log(grpc::ServerContext* /*context*/, const LogRequest* request,
                   LogResponse* /*response*/) override {
    const plugind::LogLevel level = LevelOf(request->level());
    const plugind::Fields fields(request->fields().begin(), request->fields().end());
    plugind::log(level, request->message(), fields);
    return grpc::Status::OK;
  }

  grpc::Status CallPeer(grpc::ServerContext* served, const CallPeerRequest* request,
                        CallPeerResponse* response) override {
    grpc::Status status;
    try {
      const auto peer = Parity::NewStub(plugin_.peer(request->name()));
      grpc::ClientContext context;
      context.set_deadline(std::chrono::system_clock::now() + kPeerDeadline);
      for (const auto& [key, value] : request->metadata()) context.AddMetadata(key, value);
      if (request->metadata().count("traceparent") == 0) plugind::carry_trace(*served, context);
      EchoRequest echo;
      echo.set_text(request->text());
      status = peer->Echo(&context, echo, response->mutable_echo());
    } catch (const std::logic_error& error) {
      status = {grpc::StatusCode::UNAVAILABLE, error.what()};
    }
    if (!status.ok()) response->clear_echo();
    response->set_code(status.error_code());
    response->set_message(status.error_message());
    return grpc::Status::OK;
  }

  grpc::Status Agreed(grpc::ServerContext* /*context*/, const AgreedRequest* request,
                      AgreedResponse* response) override {
    response->set_version(plugin_.agreed(request->capability()).value_or(""));
    return grpc::Status::OK;
  }

  grpc::Status Settings(grpc::ServerContext* /*context*/, const SettingsRequest* /*request*/,
                        SettingsResponse* response) override {
    response->set_json(plugin_.settings().json());
    return grpc::Status::OK;
  }

  grpc::Status AskHost(grpc::ServerContext* /*context*/, const AskHostRequest* /*request*/,
                       AskHostResponse* response) override {
    try {
      const plugind::Identity self = plugin_.identity();
      for (const plugind::Peer& each : plugin_.peers()) {
        Peer* peer = response->add_peers();
        peer->set_name(each.name);
        peer->set_state(each.state);
        peer->set_version(each.version);
        peer->mutable_services()->Assign(each.services.begin(), each.services.end());
        peer->mutable_methods()->Assign(each.methods.begin(), each.methods.end());
      }
      Identity* identity = response->mutable_identity();
      identity->set_name(self.name);
      identity->set_instance(self.instance);
      identity->set_protocol_version(self.protocol_version);
      identity->mutable_capabilities()->insert(self.capabilities.begin(), self.capabilities.end());
      identity->set_host(self.host);
      identity->set_host_version(self.host_version);
    } catch (const plugind::HostError& error) {
      response->set_code(error.status().error_code());
      response->set_message(error.status().error_message());
    } catch (const std::logic_error& error) {
      response->set_code(grpc::StatusCode::UNAVAILABLE);
      response->set_message(error.what());
    }
    return grpc::Status::OK;
  }

  grpc::Status SetStatus(grpc::ServerContext* /*context*/, const SetStatusRequest* request,
                         SetStatusResponse* /*response*/) override {
    plugin_.set_status(request->text());
    return grpc::Status::OK;
  }

  grpc::Status SetServing(grpc::ServerContext* /*context*/, const SetServingRequest* request,
                          SetServingResponse* /*response*/) override {
    plugin_.set_serving(request->serving());
    return grpc::Status::OK;
  }

  grpc::Status Stop(grpc::ServerContext* /*context*/, const StopRequest* /*request*/,
                    StopResponse* /*response*/) override {
    plugin_.stop();
    return grpc::Status::OK;
  }

 private:
  plugind::Plugin& plugin_;
};

plugind::Violations Configure(const plugind::Settings& settings) {
  plugind::log(plugind::LogLevel::kInfo, "hook configure");
  if (const auto why = settings.find<std::string>("throw")) throw std::runtime_error(*why);
  if (const auto why = settings.find<std::string>("refuse")) return {{"refuse", *why}};
  return {};
}

}  // namespace

int main(int argc, char** argv) {
  plugind::Plugin plugin("parity-cpp", "1.2.3");
  ParityService impl(plugin);
  plugin.service(&impl)
      .protocol_version(1)
      .protocol_version(2)
      .provides("parity.echo", "1.4")
      .provides("parity.echo", "2.1")
      .on_start([] {
        if (const auto why = Variable("PARITY_START_FAILS"); !why.empty()) {
          throw std::runtime_error(why);
        }
        plugind::log(plugind::LogLevel::kInfo, "hook start");
      })
      .on_shutdown([] { plugind::log(plugind::LogLevel::kInfo, "hook shutdown"); });
  if (Variable("PARITY_NO_HOOKS") != "1") {
    plugin.config_schema(kSchema).on_configure(Configure).on_drain([&plugin] {
      std::this_thread::sleep_for(milliseconds(plugin.settings().get("drain_ms", 0)));
      plugind::log(plugind::LogLevel::kInfo, "hook drain");
    });
  }
  if (const auto cookie = Variable("PARITY_COOKIE"); !cookie.empty()) {
    const size_t equals = cookie.find('=');
    plugin.cookie(cookie.substr(0, equals), cookie.substr(equals + 1));
  }
  if (const auto needed = Variable("PARITY_REQUIRES"); !needed.empty()) plugin.require(needed);
  return plugin.serve(argc, argv);
}
