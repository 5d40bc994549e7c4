// The plugin that serve_test runs. Its own arguments, in any order:
//   --versions=2,4   --cookie=KEY=VALUE   --nofile=N   --timeout-ms=N   --fail-start --early-print
#include <grpcpp/grpcpp.h>
#include <plugind/plugin.h>
#include <sys/resource.h>
#include <unistd.h>

#include <chrono>
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

  grpc::Status Sleep(grpc::ServerContext* /*context*/, const sample::v1::SleepRequest* request,
                     sample::v1::SleepResponse* /*response*/) override {
    std::this_thread::sleep_for(std::chrono::milliseconds(request->milliseconds()));
    return grpc::Status::OK;
  }

 private:
  plugind::Plugin& plugin_;
};

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
      const size_t second = value.find('=');
      plugin.cookie(value.substr(0, second), value.substr(second + 1));
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
