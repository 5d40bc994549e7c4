// How it takes its settings. One process is handed all of them, as on a hot reload.
#include <google/protobuf/util/json_util.h>

#include <atomic>
#include <thread>

#include "daemon/pluginctl/call/call_status.h"
#include "daemon/pluginctl/conformance/bench.h"
#include "daemon/pluginctl/conformance/description.h"
#include "daemon/pluginctl/conformance/newer.h"
#include "daemon/pluginctl/text.h"

namespace plugind::pluginctl::conformance {
namespace {

using google::protobuf::Struct;

constexpr int kReloads = 20;

// What it has to refuse, or what its schema does not allow and only a guess is; nothing: nobody
// knows.
std::optional<Struct> Refusable(const Bench& bench) {
  if (bench.subject().refused) return bench.subject().refused;
  return Violate(bench.facts().negotiated.config_schema(), bench.subject().accepted);
}

// Why there is nothing to check on a process that has its settings; empty: there is.
std::string Obstacle(const Bench& bench) {
  if (!bench.facts().configures) return "it does not serve Configure";
  if (!bench.facts().configured.ok()) return "it refuses good settings: see configure-accepts";
  for (const contract::Capability& each : bench.facts().negotiated.capabilities())
    if (each.name() == "config.reload") return "";
  return "it does not name config.reload: it is handed settings once only";
}

Finding Accepts(Bench& bench) {
  if (!bench.facts().configures) return Skipped("it does not serve Configure");
  const absl::Status& status = bench.facts().configured;
  if (!bench.subject().accepted_given && absl::IsInvalidArgument(status))
    return Failed(fmt::format("{} (name settings that it takes with --config)", Message(status)));
  return status;
}

Finding Again(Bench& bench) {
  if (const std::string obstacle = Obstacle(bench); !obstacle.empty()) return Skipped(obstacle);
  ASSIGN_OR_RETURN(Instance * instance, bench.Shared());
  RETURN_IF_ERROR(instance->TryToConfigure(bench.subject().accepted, "Configure"));
  RETURN_IF_ERROR(instance->TryToConfigure(bench.subject().accepted, "the same Configure again"));
  return instance->StillServing("after two Configure that were the same");
}

Finding UnknownFields(Bench& bench) {
  if (const std::string obstacle = Obstacle(bench); !obstacle.empty()) return Skipped(obstacle);
  ASSIGN_OR_RETURN(Instance * instance, bench.Shared());
  contract::ConfigureRequest request = instance->Settings(bench.subject().accepted);
  MakeNewer(&request);
  RETURN_IF_ERROR(instance->TryToConfigure(request, "Configure with unknown fields"));
  return instance->StillServing("after a Configure with unknown fields");
}

std::string AsJson(const Struct& settings) {
  std::string json;
  // Only nan and inf have no JSON, and neither was read nor made up.
  if (!google::protobuf::util::MessageToJsonString(settings, &json).ok()) return "{}";
  constexpr size_t kShown = 200;
  return Truncate(Printable(json), kShown);
}

// OK: it refuses them as it should.
absl::Status Refused(Instance& instance, const Struct& settings, std::string_view what) {
  contract::ConfigureResponse response;
  const grpc::Status status = instance.Configure(instance.Settings(settings), &response);
  if (status.error_code() == grpc::StatusCode::INVALID_ARGUMENT) return absl::OkStatus();
  if (!status.ok()) {
    return Error(absl::StatusCode::kUnavailable,
                 "given {} Configure ended with {}; expected violations or INVALID_ARGUMENT", what,
                 Words(status));
  }
  if (response.violations().empty())
    return Error(absl::StatusCode::kFailedPrecondition, "it took {}", what);
  for (const contract::Violation& each : response.violations())
    if (each.reason().empty())
      return Error(absl::StatusCode::kFailedPrecondition, "it refused {} without a reason", what);
  return absl::OkStatus();
}

Finding Refuses(Bench& bench) {
  if (!bench.facts().configures) return Skipped("it does not serve Configure");
  if (!bench.subject().refused) return Skipped("name settings that it must refuse with --refuse");
  // As its first ones: without config.reload there are no others.
  ASSIGN_OR_RETURN(const auto instance, bench.Start());
  contract::NegotiateResponse response;
  instance->Negotiate(instance->TodaysOffer(), &response);
  return Refused(*instance, *bench.subject().refused, "what --refuse names");
}

Finding Schema(Bench& bench) {
  if (const std::string obstacle = Obstacle(bench); !obstacle.empty()) return Skipped(obstacle);
  const auto settings = Violate(bench.facts().negotiated.config_schema(), bench.subject().accepted);
  if (!settings) return Skipped("it has no schema of which it is plain how to break it");
  ASSIGN_OR_RETURN(Instance * instance, bench.Shared());
  return Refused(*instance, *settings,
                 fmt::format("settings that its schema does not allow: {}", AsJson(*settings)));
}

Finding Keeps(Bench& bench) {
  if (const std::string obstacle = Obstacle(bench); !obstacle.empty()) return Skipped(obstacle);
  const auto settings = Refusable(bench);
  if (!settings) return Skipped("nobody knows what it refuses; name settings with --refuse");
  ASSIGN_OR_RETURN(Instance * instance, bench.Shared());
  contract::ConfigureResponse response;
  const grpc::Status status = instance->Configure(instance->Settings(*settings), &response);
  if (status.ok() && response.violations().empty()) return Skipped("it refuses nothing");
  RETURN_IF_ERROR(instance->StillServing("after settings that it refused"));
  return instance->TryToConfigure(bench.subject().accepted,
                                  "Configure with good settings, after others were refused,");
}

Finding Concurrent(Bench& bench) {
  if (const std::string obstacle = Obstacle(bench); !obstacle.empty()) return Skipped(obstacle);
  ASSIGN_OR_RETURN(Instance * instance, bench.Shared());
  std::atomic<bool> done = false;
  absl::Status called;
  std::thread caller([&] {
    while (!done && called.ok()) called = instance->StillServing("during a Configure");
  });
  absl::Status configured;
  for (int i = 0; i < kReloads && configured.ok(); ++i) {
    configured =
        instance->TryToConfigure(bench.subject().accepted, "a Configure while calls came in");
  }
  done = true;
  caller.join();
  RETURN_IF_ERROR(configured);
  return called;
}

constexpr Rule kRules[] = {
    {"configure-accepts", Level::kContract, Needs::kHandshake,
     "It takes settings that are good: an empty table, or those of --config.", Accepts},
    {"configure-again", Level::kContract, Needs::kReady, "It takes the same settings twice.",
     Again},
    {"configure-unknown-fields", Level::kContract, Needs::kReady,
     "Fields and agreed capabilities that it does not know do not trouble it.", UnknownFields},
    {"configure-refuses", Level::kContract, Needs::kHandshake,
     "Settings that are not, those of --refuse, it refuses with violations or INVALID_ARGUMENT.",
     Refuses},
    {"configure-schema", Level::kAdvice, Needs::kReady,
     "It refuses by itself what its schema does not allow: plugind would not hand it over, other "
     "hosts may.",
     Schema},
    {"configure-keeps", Level::kContract, Needs::kReady,
     "When it has refused settings, those before stand: it goes on serving.", Keeps},
    {"configure-concurrent", Level::kContract, Needs::kReady,
     "Calls are answered while it is handed new settings.", Concurrent},
};

}  // namespace

std::span<const Rule> ConfigureRules() { return kRules; }

}  // namespace plugind::pluginctl::conformance
