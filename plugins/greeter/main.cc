// greeter: what a plugin in C++ looks like. Everything that makes it a plugin is in main().
#include <plugind/plugin.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <mutex>
#include <string>
#include <utility>

#include "greeter.grpc.pb.h"

namespace {

using greeter::v1::CountdownRequest;
using greeter::v1::CountdownResponse;
using greeter::v1::GreetRequest;
using greeter::v1::GreetResponse;

// What the settings have to look like; plugind refuses others with file and line.
constexpr char kSchema[] = R"({
  "type": "object",
  "properties": {
    "greeting": {"type": "string", "minLength": 1, "description": "what stands before the name"}
  },
  "additionalProperties": false
})";

class Greeter final : public greeter::v1::Greeter::Service {
 public:
  // Calls that run meanwhile say either the old greeting or the new one.
  void SetGreeting(std::string greeting) {
    std::lock_guard lock(mutex_);
    greeting_ = std::move(greeting);
  }

  // Countdowns end early once this is called.
  void Stop() {
    {
      std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    changed_.notify_all();
  }

  grpc::Status Greet(grpc::ServerContext* /*context*/, const GreetRequest* request,
                     GreetResponse* response) override {
    const std::string name = request->name().empty() ? "world" : request->name();
    response->set_message(Greeting() + ", " + name + "!");
    response->set_pid(getpid());
    return grpc::Status::OK;
  }

  grpc::Status Countdown(grpc::ServerContext* context, const CountdownRequest* request,
                         grpc::ServerWriter<CountdownResponse>* writer) override {
    if (request->from() > 1'000'000 || request->interval_ms() > 10'000) {
      return {grpc::StatusCode::INVALID_ARGUMENT,
              "from is at most 1000000 and interval_ms at most 10000"};
    }
    const std::chrono::milliseconds interval(request->interval_ms());
    CountdownResponse step;
    for (uint32_t remaining = request->from();; --remaining) {
      step.set_remaining(remaining);
      if (!writer->Write(step) || context->IsCancelled()) return grpc::Status::CANCELLED;
      if (remaining == 0) break;
      std::unique_lock lock(mutex_);
      if (changed_.wait_for(lock, interval, [this] { return stopping_; })) {
        return {grpc::StatusCode::UNAVAILABLE, "the greeter is stopping"};
      }
    }
    // A plain print, as in code that knows nothing of plugins: the host shows it as a log line.
    std::printf("liftoff after %u\n", request->from());
    return grpc::Status::OK;
  }

 private:
  std::string Greeting() {
    std::lock_guard lock(mutex_);
    return greeting_;
  }

  std::mutex mutex_;
  std::string greeting_ = "Hello";
  std::condition_variable changed_;
  bool stopping_ = false;
};

}  // namespace

int main(int argc, char** argv) {
  Greeter impl;
  return plugind::Plugin("greeter", "1.0.0")
      .service(&impl)
      .provides("greeter.v1", "1.0")
      .config_schema(kSchema)
      .on_configure([&impl](const plugind::Settings& settings) {
        std::string greeting = settings.get("greeting", "Hello");
        if (greeting.empty()) throw plugind::BadSetting("greeting", "must not be empty");
        impl.SetGreeting(std::move(greeting));
      })
      .on_start([] {
        plugind::log(plugind::LogLevel::kInfo, "greeter is up",
                     {{"pid", std::to_string(getpid())}});
      })
      .on_shutdown([&impl] { impl.Stop(); })
      .serve(argc, argv);
}
