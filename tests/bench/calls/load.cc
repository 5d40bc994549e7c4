// bench_load: the caller in the benchmark `calls`. It lives through a whole run and keeps a warm
// connection to each target, so that short slices against one and another can alternate. Commands
// on stdin, one JSON line on stdout for each:
//
//   wait TARGET SECONDS                          {"connected":true}
//   run TARGET SIZE IN_FLIGHT MODE SECONDS
//   {"calls":…,"seconds":…,"p50_us":…,"p99_us":…,"all":…,"failed":0,"error":""}
//
// TARGET is a gRPC address, MODE is unary or streaming. `all` counts the warm-up's calls too, as
// CPU time does. One command can also be given as arguments.
#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <cmath>
#include <iostream>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>

#include "slice.h"

namespace {

using plugind::bench::Load;
using plugind::bench::Mode;
using plugind::bench::Outcome;
using plugind::bench::v1::Echo;

struct Target {
  std::shared_ptr<grpc::Channel> channel;
  std::unique_ptr<Echo::Stub> stub;
};

using Targets = std::map<std::string, Target>;

Target& Find(Targets& targets, const std::string& address) {
  Target& target = targets[address];
  if (target.channel == nullptr) {
    grpc::ChannelArguments arguments;
    arguments.SetMaxReceiveMessageSize(-1);
    arguments.SetString(GRPC_ARG_DEFAULT_AUTHORITY, "localhost");
    arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 50);
    arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 50);
    arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 200);
    target.channel =
        grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments);
    target.stub = Echo::NewStub(target.channel);
  }
  return target;
}

std::chrono::nanoseconds Seconds(double seconds) {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
      std::chrono::duration<double>(seconds));
}

// Nearest rank: a value that was really measured. Zero where there is none.
double Percentile(const std::vector<std::chrono::nanoseconds>& sorted, double share) {
  if (sorted.empty()) return 0;
  const auto rank = static_cast<size_t>(std::ceil(share * static_cast<double>(sorted.size())));
  return std::chrono::duration<double, std::micro>(sorted[std::max<size_t>(rank, 1) - 1]).count();
}

nlohmann::json Report(Outcome outcome) {
  std::sort(outcome.latencies.begin(), outcome.latencies.end());
  return {{"calls", outcome.latencies.size()},
          {"seconds", std::chrono::duration<double>(outcome.measured).count()},
          {"p50_us", Percentile(outcome.latencies, 0.5)},
          {"p99_us", Percentile(outcome.latencies, 0.99)},
          {"all", outcome.all},
          {"failed", outcome.failed},
          {"error", outcome.error}};
}

// Null: not a command.
nlohmann::json Obey(Targets& targets, const std::string& line) {
  std::istringstream words(line);
  std::string verb;
  std::string address;
  words >> verb >> address;
  if (verb == "wait") {
    double seconds = 0;
    if (!(words >> seconds)) return nullptr;
    const auto deadline = std::chrono::system_clock::now() + Seconds(seconds);
    return {{"connected", Find(targets, address).channel->WaitForConnected(deadline)}};
  }
  size_t size = 0;
  size_t in_flight = 0;
  std::string mode;
  double seconds = 0;
  if (verb != "run" || !(words >> size >> in_flight >> mode >> seconds) || in_flight == 0 ||
      (mode != "unary" && mode != "streaming")) {
    return nullptr;
  }
  const Load load{.mode = mode == "unary" ? Mode::kUnary : Mode::kStreaming,
                  .size = size,
                  .in_flight = in_flight,
                  .duration = Seconds(seconds)};
  return Report(RunSlice(*Find(targets, address).stub, load));
}

bool ObeyAndPrint(Targets& targets, const std::string& line) {
  const nlohmann::json answer = Obey(targets, line);
  if (answer.is_null()) {
    std::cerr << "not a command: " << line << '\n';
    return false;
  }
  std::cout << answer.dump() << std::endl;
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  Targets targets;
  if (argc > 1) {
    std::string line = argv[1];
    for (int i = 2; i < argc; ++i) line.append(" ").append(argv[i]);
    return ObeyAndPrint(targets, line) ? 0 : 2;
  }
  std::string line;
  while (std::getline(std::cin, line)) {
    if (!ObeyAndPrint(targets, line)) return 2;
  }
}
