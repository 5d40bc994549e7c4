// The program, and the plugin, by which tests/e2e/test_client.py tries plugind::Client.
//
//   sdk_client_program [--socket PATH] --to PLUGIN   calls what its stdin says, on one channel;
//   after
//                                                    each line a line of JSON on stdout
//   sdk_client_program [--socket PATH] --control     the same by way of Client::control()
//   sdk_client_program --serve PLUGIN                a plugin with greeter's service, which passes
//                                                    every call on to its peer PLUGIN
//
// Lines: greet MILLISECONDS        Greet, with that much time; fails at once if it cannot be sent
//        await MILLISECONDS        Greet, which waits until it can be sent
//        count FROM MILLISECONDS   Countdown, with that pause; a line {"remaining": …} each step
#include <grpcpp/grpcpp.h>
#include <plugind/client.h>
#include <plugind/plugin.h>

#include <chrono>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "greeter.grpc.pb.h"

namespace {

using greeter::v1::CountdownRequest;
using greeter::v1::CountdownResponse;
using greeter::v1::Greeter;
using greeter::v1::GreetRequest;
using greeter::v1::GreetResponse;
using nlohmann::json;
using std::chrono::milliseconds;
using std::chrono::system_clock;

const char* Name(plugind::Executed executed) {
  switch (executed) {
    case plugind::Executed::kUnknown:
      return "unknown";
    case plugind::Executed::kNo:
      return "no";
    case plugind::Executed::kMaybe:
      return "maybe";
  }
  return "";
}

json EndOf(const grpc::Status& status, const grpc::ClientContext& context) {
  json end = {{"code", static_cast<int>(status.error_code())},
              {"text", status.error_message()},
              {"executed", Name(plugind::executed(context))}};
  if (const auto error = plugind::error_info(status)) {
    end["reason"] = error->reason;
    end["metadata"] = error->metadata;
  }
  return end;
}

json Greet(Greeter::Stub& stub, milliseconds time, bool waits) {
  grpc::ClientContext context;
  context.set_deadline(system_clock::now() + time);
  context.set_wait_for_ready(waits);
  GreetRequest request;
  request.set_name("Ada");
  GreetResponse response;
  json end = EndOf(stub.Greet(&context, request, &response), context);
  end["message"] = response.message();
  end["pid"] = response.pid();
  return end;
}

json Count(Greeter::Stub& stub, uint32_t from, milliseconds pause) {
  grpc::ClientContext context;
  CountdownRequest request;
  request.set_from(from);
  request.set_interval_ms(static_cast<uint32_t>(pause.count()));
  CountdownResponse response;
  const auto steps = stub.Countdown(&context, request);
  while (steps->Read(&response)) {
    std::cout << json{{"remaining", response.remaining()}} << std::endl;
  }
  return EndOf(steps->Finish(), context);
}

int Run(const std::vector<std::shared_ptr<grpc::Channel>>& channels) {
  std::vector<std::unique_ptr<Greeter::Stub>> stubs;
  for (const auto& channel : channels) stubs.push_back(Greeter::NewStub(channel));
  for (std::string line; std::getline(std::cin, line);) {
    std::istringstream words(line);
    std::string verb;
    uint32_t from = 0;
    uint32_t time = 0;
    words >> verb;
    if (verb == "count") words >> from;
    if (!(words >> time)) return 2;
    for (const auto& stub : stubs) {
      const json end = verb == "count" ? Count(*stub, from, milliseconds(time))
                                       : Greet(*stub, milliseconds(time), verb == "await");
      std::cout << end << std::endl;
    }
  }
  return 0;
}

// greeter.v1.Greeter of a peer, errors and their details included.
class Relay final : public Greeter::Service {
 public:
  explicit Relay(const std::string& peer)
      : peer_(Greeter::NewStub(plugind::Client().channel(peer))) {}

  grpc::Status Greet(grpc::ServerContext* incoming, const GreetRequest* request,
                     GreetResponse* response) override {
    const auto context = grpc::ClientContext::FromServerContext(*incoming);
    return peer_->Greet(context.get(), *request, response);
  }

  grpc::Status Countdown(grpc::ServerContext* incoming, const CountdownRequest* request,
                         grpc::ServerWriter<CountdownResponse>* writer) override {
    const auto context = grpc::ClientContext::FromServerContext(*incoming);
    const auto steps = peer_->Countdown(context.get(), *request);
    CountdownResponse response;
    while (steps->Read(&response)) writer->Write(response);
    return steps->Finish();
  }

 private:
  std::unique_ptr<Greeter::Stub> peer_;
};

}  // namespace

int main(int argc, char** argv) {
  plugind::Client client;
  for (int i = 1; i < argc; ++i) {
    const std::string option = argv[i];
    if (option == "--control") return Run({client.control()});
    if (i + 1 == argc) break;
    const std::string value = argv[++i];
    if (option == "--socket") client = plugind::Client(value);
    if (option == "--to") {
      std::vector<std::shared_ptr<grpc::Channel>> channels;
      for (; i < argc; ++i) channels.push_back(client.channel(argv[i]));
      return Run(channels);
    }
    if (option == "--serve") {
      Relay relay(value);
      return plugind::Plugin("relay", "0.0.1").service(&relay).serve(argc, argv);
    }
  }
  std::cerr << "see the top of client_program.cc\n";
  return 2;
}
