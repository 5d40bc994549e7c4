// The plugin that serve_test runs. Its own arguments, in any order:
//   --versions=2,4   --cookie=KEY=VALUE   --nofile=N   --timeout-ms=N   --fail-start --early-print
//   --own-interceptors   --provides=NAME=VERSION   --require=NAME=VERSION   --schema=JSON
//   --configure: takes the settings "text", "limits.most" (at most 10) and "sleep_ms"
//   --drain: drains by a line in the log
//   --no-pidfd: pidfd_open fails from then on, as on a kernel that has none
#include <grpcpp/grpcpp.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <plugind/plugin.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <iostream>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>

#include "sample.grpc.pb.h"

namespace {

class Sample final : public sample::v1::Sample::Service {
 public:
  explicit Sample(plugind::Plugin& plugin) : plugin_(plugin) {}

  grpc::Status Print(grpc::ServerContext* /*context*/, const sample::v1::PrintRequest* request,
                     sample::v1::PrintResponse* /*response*/) override {
    if (request->cout()) {
      std::cout << request->text();
    } else {
      std::printf("%s", request->text().c_str());
    }
    return grpc::Status::OK;
  }

  grpc::Status SetServing(grpc::ServerContext* /*context*/,
                          const sample::v1::SetServingRequest* request,
                          sample::v1::SetServingResponse* /*response*/) override {
    plugin_.set_serving(request->serving());
    return grpc::Status::OK;
  }

  grpc::Status Contract(grpc::ServerContext* /*context*/,
                        const sample::v1::ContractRequest* request,
                        sample::v1::ContractResponse* response) override {
    response->set_settings(plugin_.settings().json());
    response->set_agreed(plugin_.agreed(request->capability()).value_or(""));
    return grpc::Status::OK;
  }

  grpc::Status SetStatus(grpc::ServerContext* /*context*/,
                         const sample::v1::SetStatusRequest* request,
                         sample::v1::SetStatusResponse* /*response*/) override {
    plugin_.set_status(request->text());
    return grpc::Status::OK;
  }

  grpc::Status AskHost(grpc::ServerContext* /*context*/,
                       const sample::v1::AskHostRequest* /*request*/,
                       sample::v1::AskHostResponse* response) override try {
    response->set_name(plugin_.identity().name);
    for (const plugind::Peer& peer : plugin_.peers()) response->add_peers(peer.name);
    return grpc::Status::OK;
  } catch (const plugind::HostError& error) {
    return error.status();
  } catch (const std::logic_error& error) {
    return {grpc::StatusCode::FAILED_PRECONDITION, error.what()};
  }

  grpc::Status PrintAt(grpc::ServerContext* context, const sample::v1::PrintAtRequest* request,
                       sample::v1::PrintResponse* response) override try {
    const auto peer = sample::v1::Sample::NewStub(plugin_.peer(request->peer()));
    const auto child = grpc::ClientContext::FromServerContext(*context);
    plugind::carry_trace(*context, *child);
    sample::v1::PrintRequest print;
    print.set_text(request->text());
    return peer->Print(child.get(), print, response);
  } catch (const std::exception& error) {
    return {grpc::StatusCode::FAILED_PRECONDITION, error.what()};
  }

  grpc::Status Sleep(grpc::ServerContext* /*context*/, const sample::v1::SleepRequest* request,
                     sample::v1::SleepResponse* /*response*/) override {
    std::this_thread::sleep_for(std::chrono::milliseconds(request->milliseconds()));
    return grpc::Status::OK;
  }

 private:
  plugind::Plugin& plugin_;
};

plugind::Violations Configure(const plugind::Settings& settings) {
  settings.get("text", "");
  if (settings.get("limits.most", 1) > 10) return {{"limits.most", "must be at most 10"}};
  if (settings.has("boom")) throw std::runtime_error("boom is not for sale");
  std::this_thread::sleep_for(std::chrono::milliseconds(settings.get("sleep_ms", 0)));
  return {};
}

bool ForbidPidfds() {
  sock_filter rules[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_pidfd_open, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog program{4, rules};
  return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

// "NAME=VERSION" in two.
std::pair<std::string, std::string> Split(const std::string& text) {
  const size_t equals = text.find('=');
  return {text.substr(0, equals), text.substr(equals + 1)};
}

}  // namespace

int main(int argc, char** argv) {
  plugind::Plugin plugin("sample", "0.0.1");
  Sample impl(plugin);
  plugin.service(&impl);
  plugin.on_shutdown([] { plugind::log(plugind::LogLevel::kInfo, "shutdown hook ran"); });
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    const size_t equals = argument.find('=');
    const std::string key = argument.substr(0, equals);
    const std::string value = equals == std::string::npos ? "" : argument.substr(equals + 1);
    if (key == "--versions") {
      std::istringstream versions(value);
      for (std::string version; std::getline(versions, version, ',');) {
        plugin.protocol_version(std::stoi(version));
      }
    } else if (key == "--cookie") {
      plugin.cookie(Split(value).first, Split(value).second);
    } else if (key == "--provides") {
      plugin.provides(Split(value).first, Split(value).second);
    } else if (key == "--require") {
      plugin.require(Split(value).first, Split(value).second);
    } else if (key == "--schema") {
      plugin.config_schema(value);
    } else if (key == "--configure") {
      plugin.on_configure(Configure);
    } else if (key == "--no-pidfd") {
      if (!ForbidPidfds()) return 2;
    } else if (key == "--drain") {
      plugin.on_drain([] { plugind::log(plugind::LogLevel::kInfo, "drain hook ran"); });
    } else if (key == "--nofile") {
      const rlimit limit{std::stoul(value), std::stoul(value)};
      if (setrlimit(RLIMIT_NOFILE, &limit) != 0) return 2;
    } else if (key == "--timeout-ms") {
      plugin.shutdown_timeout(std::chrono::milliseconds(std::stoi(value)));
    } else if (key == "--fail-start") {
      plugin.on_start([] { throw std::runtime_error("no database"); });
    } else if (key == "--own-interceptors") {
      plugin.configure(
          [](grpc::ServerBuilder& builder) { builder.experimental().SetInterceptorCreators({}); });
    } else if (key == "--early-print") {
      std::printf("printed before serve\n");
    }
  }
  return plugin.serve(argc, argv);
}
