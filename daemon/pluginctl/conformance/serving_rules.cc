// What it answers while it runs, and what must not harm it. One process is asked all of this.
#include <google/protobuf/unknown_field_set.h>

#include <array>
#include <thread>
#include <vector>

#include "daemon/pluginctl/call/call_status.h"
#include "daemon/pluginctl/conformance/bench.h"
#include "daemon/pluginctl/conformance/services.h"
#include "daemon/pluginctl/conformance/socket.h"
#include "daemon/pluginctl/text.h"
#include "grpc/health/v1/health.grpc.pb.h"

namespace plugind::pluginctl::conformance {
namespace {

using grpc::health::v1::Health;
using grpc::health::v1::HealthCheckRequest;
using grpc::health::v1::HealthCheckResponse;

constexpr Milliseconds kSoon{2000};
constexpr int kRepeats = 20;
constexpr int kConnections = 100;
constexpr size_t kAlmostTooBig = (size_t{4} << 20) - 1024;  // gRPC's usual limit is 4 MiB
constexpr size_t kTooBig = size_t{5} << 20;

Finding Serving(Bench& bench) {
  if (!bench.facts().introduced.ok()) return Skipped("a host would have given up at Negotiate");
  return bench.facts().serving;
}

Finding UnknownService(Bench& bench) {
  ASSIGN_OR_RETURN(Instance * instance, bench.Shared());
  bool serving = false;
  const grpc::Status status = instance->Check("no.such.Service", &serving);
  if (status.error_code() == grpc::StatusCode::NOT_FOUND) return Passed();
  return Failed(fmt::format("Check of no.such.Service ended with {}; expected NOT_FOUND",
                            serving ? "SERVING" : Words(status)));
}

Finding Watch(Bench& bench) {
  ASSIGN_OR_RETURN(Instance * instance, bench.Shared());
  bool serving = false;
  HealthCheckRequest request;
  if (instance->Check("plugin", &serving).ok()) request.set_service("plugin");
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + kSoon);
  const auto reader = Health::NewStub(instance->channel())->Watch(&context, request);
  HealthCheckResponse response;
  const bool answered = reader->Read(&response);
  if (answered) context.TryCancel();
  const grpc::Status status = reader->Finish();
  if (!answered && status.error_code() == grpc::StatusCode::UNIMPLEMENTED)
    return Skipped("it does not serve Watch");
  if (!answered) return Failed(fmt::format("Watch ended with {}", Words(status)));
  if (response.status() != HealthCheckResponse::SERVING)
    return Failed("Check says SERVING, and Watch something else");
  return instance->StillServing("after a Watch");
}

Finding Reflection(Bench& bench) {
  ASSIGN_OR_RETURN(Instance * instance, bench.Shared());
  const auto services = ListServices(*instance);
  if (absl::IsUnimplemented(services.status())) return Skipped("it serves no reflection");
  RETURN_IF_ERROR(services.status());
  std::vector<std::string> own;
  for (const std::string& service : *services) {
    if (!IsInfrastructure(service)) own.push_back(service);
  }
  if (own.empty()) return Failed("it lists no service of its own");
  for (const std::string& service : own) {
    const absl::Status described = Describe(*instance, service);
    if (!described.ok()) {
      return Failed(fmt::format("it lists {} but has no descriptor of it: {}", Printable(service),
                                Message(described)));
    }
  }
  return Passed();
}

Finding UnknownMethod(Bench& bench) {
  ASSIGN_OR_RETURN(Instance * instance, bench.Shared());
  for (const std::string method :
       {"/no.such.Service/Method", "/grpc.health.v1.Health/NoSuchMethod"}) {
    std::string response;
    const grpc::Status status = instance->CallUnary(method, "", &response);
    if (status.error_code() != grpc::StatusCode::UNIMPLEMENTED)
      return Failed(fmt::format("{} ended with {}; expected UNIMPLEMENTED", method, Words(status)));
  }
  return Passed();
}

Finding BigMessage(Bench& bench) {
  ASSIGN_OR_RETURN(Instance * instance, bench.Shared());
  HealthCheckRequest request;
  request.set_service(std::string(kAlmostTooBig, 'x'));
  const std::string name = request.SerializeAsString();
  const std::pair<std::string, std::string> calls[] = {
      {"/no.such.Service/Method", std::string(kAlmostTooBig, '\0')},
      {"/grpc.health.v1.Health/Check", name},
      {"/grpc.health.v1.Health/Check", std::string(kTooBig, '\0')}};
  for (const auto& [method, bytes] : calls) {
    std::string response;
    const grpc::Status status = instance->CallUnary(method, bytes, &response);
    if (status.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED)
      return Failed(fmt::format("{} with {} bytes had no answer", method, bytes.size()));
    RETURN_IF_ERROR(
        instance->StillServing(fmt::format("after {} with {} bytes", method, bytes.size())));
  }
  return Passed();
}

Finding Deadlines(Bench& bench) {
  ASSIGN_OR_RETURN(Instance * instance, bench.Shared());
  for (int i = 0; i < kRepeats; ++i) {
    bool serving = false;
    instance->Check("plugin", &serving, Milliseconds(i % 3));
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + Milliseconds(5));
    const auto watch = Health::NewStub(instance->channel())->Watch(&context, HealthCheckRequest());
    HealthCheckResponse response;
    while (watch->Read(&response)) {
    }
    watch->Finish();
  }
  return instance->StillServing("after calls whose deadlines had passed");
}

Finding Cancelled(Bench& bench) {
  ASSIGN_OR_RETURN(Instance * instance, bench.Shared());
  const auto stub = Health::NewStub(instance->channel());
  for (int i = 0; i < kRepeats; ++i) {
    grpc::ClientContext unary, stream;
    HealthCheckRequest request;
    grpc::CompletionQueue queue;
    const auto call = stub->AsyncCheck(&unary, request, &queue);
    HealthCheckResponse response;
    grpc::Status status;
    call->Finish(&response, &status, &status);
    unary.TryCancel();
    const auto watch = stub->Watch(&stream, request);
    if (i % 2 == 0) watch->Read(&response);
    stream.TryCancel();
    watch->Finish();
    void* tag = nullptr;
    bool ok = false;
    queue.Next(&tag, &ok);
    queue.Shutdown();
    while (queue.Next(&tag, &ok)) {
    }
  }
  return instance->StillServing("after cancelled calls");
}

// What somebody who does not speak HTTP/2, or speaks it badly, may send.
std::vector<std::string> Garbage() {
  const std::string preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
  const std::string settings("\0\0\0\4\0\0\0\0\0", 9);
  std::string noise;
  uint32_t state = 1;  // any fixed sequence will do
  for (int i = 0; i < 4096; ++i) {
    state = state * 1664525 + 1013904223;
    noise += static_cast<char>(state >> 24);
  }
  return {
      "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
      noise,
      preface.substr(0, 10),
      preface + noise,
      // A frame of 16 MiB, DATA on stream 0, SETTINGS of 5 bytes, HEADERS that are no HPACK, and
      // headers that never end.
      preface + settings + std::string("\xff\xff\xff\0\0\0\0\0\1", 9),
      preface + settings + std::string("\0\0\4\0\1\0\0\0\0oops", 13),
      preface + std::string("\0\0\5\4\0\0\0\0\0hello", 14),
      preface + settings + std::string("\0\0\4\1\5\0\0\0\1\xff\xff\xff\xff", 13),
      preface + settings + std::string("\0\0\1\1\0\0\0\0\1\x82", 10),
  };
}

Finding BadPeers(Bench& bench) {
  ASSIGN_OR_RETURN(Instance * instance, bench.Shared());
  for (const std::string& bytes : Garbage()) {
    const Connected connection = Connect(instance->handshake());
    if (!connection.ok())
      return Failed(fmt::format("it takes no connection: {}", std::strerror(connection.error)));
    SendSome(connection.fd, bytes);
    // It need not close; most do.
    AwaitClose(connection.fd, DeadlineAfter(Milliseconds(50)));
    RETURN_IF_ERROR(instance->StillServing(
        fmt::format("after \"{}\" on another connection", Truncate(Printable(bytes), 60))));
  }
  return Passed();
}

Finding Connections(Bench& bench) {
  ASSIGN_OR_RETURN(Instance * instance, bench.Shared());
  std::vector<Connected> held;
  for (int i = 0; i < kConnections; ++i) {
    Connected connection = Connect(instance->handshake());
    if (!connection.ok()) {
      return Failed(fmt::format("connection {} of {} failed: {}", i + 1, kConnections,
                                std::strerror(connection.error)));
    }
    held.push_back(std::move(connection));
    if (i % 2 == 0) held.back().fd.reset();  // every other one goes at once
  }
  RETURN_IF_ERROR(instance->StillServing("with 50 idle connections"));
  held.clear();
  return instance->StillServing("after 100 connections that came and went");
}

constexpr Rule kRules[] = {
    {"health-serving", Level::kFloor, Needs::kHandshake,
     "grpc.health.v1.Health/Check of the service plugin, or of \"\", says SERVING within the start "
     "deadline.",
     Serving},
    {"health-unknown-service", Level::kAdvice, Needs::kReady,
     "Health of a service that it does not have ends with NOT_FOUND.", UnknownService},
    {"health-watch", Level::kFloor, Needs::kReady,
     "If it serves Watch, that says at once what Check says.", Watch},
    {"reflection-lists", Level::kFloor, Needs::kReady,
     "If it serves reflection, that lists the plugin's own services and has their descriptors.",
     Reflection},
    {"calls-unknown-method", Level::kFloor, Needs::kReady,
     "A method that it does not have ends with UNIMPLEMENTED.", UnknownMethod},
    {"calls-big-message", Level::kFloor, Needs::kReady,
     "Requests just below 4 MiB and above are answered, if only with an error.", BigMessage},
    {"calls-deadline", Level::kFloor, Needs::kReady,
     "Calls whose deadline has passed do it no harm.", Deadlines},
    {"calls-cancelled", Level::kFloor, Needs::kReady, "Calls that are cancelled do it no harm.",
     Cancelled},
    {"calls-garbage", Level::kFloor, Needs::kReady,
     "Whoever sends it something else than HTTP/2, or broken HTTP/2, harms nobody else.", BadPeers},
    {"calls-connections", Level::kFloor, Needs::kReady,
     "A hundred connections that come and go do it no harm.", Connections},
};

}  // namespace

std::span<const Rule> ServingRules() { return kRules; }

}  // namespace plugind::pluginctl::conformance
