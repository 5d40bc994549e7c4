// How it negotiates, with hosts of every age. Each host is a process of the plugin.
#include <algorithm>

#include "daemon/pluginctl/call/call_status.h"
#include "daemon/pluginctl/conformance/bench.h"
#include "daemon/pluginctl/conformance/description.h"
#include "daemon/pluginctl/conformance/newer.h"
#include "daemon/pluginctl/conformance/services.h"
#include "daemon/pluginctl/text.h"

namespace plugind::pluginctl::conformance {
namespace {

Finding Outcome(const std::string& wrong) { return wrong.empty() ? Passed() : Failed(wrong); }

constexpr const char* kNoNegotiate = "it does not serve Negotiate";

Finding Today(Bench& bench) {
  RETURN_IF_ERROR(bench.facts().introduced);
  return bench.facts().negotiates ? Passed() : Skipped(kNoNegotiate);
}

Finding Bounds(Bench& bench) {
  if (!bench.facts().negotiates) return Skipped(kNoNegotiate);
  return Outcome(BeyondBounds(bench.facts().negotiated));
}

Finding Names(Bench& bench) {
  if (!bench.facts().negotiates) return Skipped(kNoNegotiate);
  return Outcome(WrongNames(bench.facts().negotiated));
}

Finding Schema(Bench& bench) {
  const std::string& schema = bench.facts().negotiated.config_schema();
  if (schema.empty()) return Skipped("it publishes no schema");
  return Outcome(WrongSchema(schema));
}

Finding Services(Bench& bench) {
  const auto& named = bench.facts().negotiated.services();
  if (named.empty()) return Skipped("it names no services in Negotiate");
  ASSIGN_OR_RETURN(const auto instance, bench.StartServing());
  const auto listed = ListServices(*instance);
  if (absl::IsUnimplemented(listed.status())) return Skipped("it serves no reflection");
  RETURN_IF_ERROR(listed.status());
  for (const std::string& service : named) {
    if (std::ranges::find(*listed, service) == listed->end())
      return Failed(
          fmt::format("it names {}, which its reflection does not list", Printable(service)));
  }
  return Passed();
}

Finding Again(Bench& bench) {
  if (!bench.facts().negotiates) return Skipped(kNoNegotiate);
  ASSIGN_OR_RETURN(const auto instance, bench.StartServing());
  contract::NegotiateResponse response;
  const grpc::Status status = instance->Negotiate(instance->TodaysOffer(), &response);
  if (!status.ok()) return Failed(fmt::format("the second Negotiate ended with {}", Words(status)));
  if (response.SerializeAsString() != instance->negotiated().SerializeAsString())
    return Failed("the second Negotiate was answered otherwise than the first");
  return instance->StillServing("after a second Negotiate");
}

Finding OlderHost(Bench& bench) {
  ASSIGN_OR_RETURN(const auto instance, bench.Start());
  const absl::Status serving = instance->AwaitServing();
  if (serving.ok()) return Passed();
  const std::string death = instance->Death();
  if (death.empty() && bench.subject().accepted_given)
    return Passed("it lives, but waits for settings");
  return serving;
}

Finding NewerHost(Bench& bench) {
  if (!bench.facts().negotiates) return Skipped(kNoNegotiate);
  ASSIGN_OR_RETURN(const auto instance, bench.Start());
  contract::NegotiateRequest request = instance->TodaysOffer();
  MakeNewer(&request);
  contract::NegotiateResponse response;
  const grpc::Status status = instance->Negotiate(request, &response);
  if (!status.ok()) {
    return Failed(
        fmt::format("with unknown fields, unknown capabilities and higher versions in it, "
                    "Negotiate ended with {}",
                    Words(status)));
  }
  contract::ConfigureResponse configured;
  instance->Configure(instance->Settings(bench.subject().accepted), &configured);
  return instance->AwaitServing();
}

Finding BareHost(Bench& bench) {
  if (!bench.facts().negotiates) return Skipped(kNoNegotiate);
  ASSIGN_OR_RETURN(const auto instance, bench.Start());
  contract::NegotiateRequest request = instance->TodaysOffer();
  request.clear_capabilities();
  contract::NegotiateResponse response;
  const grpc::Status status = instance->Negotiate(request, &response);
  if (!status.ok()) {
    return Failed(
        fmt::format("with no capability offered, Negotiate ended with {}; whether that will do is "
                    "the host's to say",
                    Words(status)));
  }
  const std::string death = instance->Death();
  return death.empty() ? Passed() : Failed("with no capability offered " + death);
}

constexpr Rule kRules[] = {
    {"negotiate-answers", Level::kContract, Needs::kHandshake,
     "It answers Negotiate as today's host sends it.", Today},
    {"negotiate-bounds", Level::kContract, Needs::kHandshake,
     "Its answer is within the bounds of plugin.proto.", Bounds},
    {"negotiate-names", Level::kContract, Needs::kHandshake,
     "Capabilities have names of 1 to 128 letters, digits, \"-\", \"_\" and \".\", each once, and "
     "versions of the form MAJOR.MINOR, each major once.",
     Names},
    {"negotiate-schema", Level::kContract, Needs::kHandshake,
     "If it publishes a schema for its settings, that is a JSON object which describes an object.",
     Schema},
    {"negotiate-services", Level::kContract, Needs::kReady,
     "The services that it names are those that it serves, as far as reflection tells.", Services},
    {"negotiate-again", Level::kContract, Needs::kReady,
     "Asked again, by a plugind that took the place of another, it answers the same.", Again},
    {"negotiate-older-host", Level::kContract, Needs::kReady,
     "With a host that never calls Negotiate it works at the floor.", OlderHost},
    {"negotiate-newer-host", Level::kContract, Needs::kReady,
     "Fields, capabilities and versions that it does not know do not trouble it.", NewerHost},
    {"negotiate-bare-host", Level::kContract, Needs::kReady,
     "Offered nothing of what it requires, it still answers.", BareHost},
};

}  // namespace

std::span<const Rule> NegotiateRules() { return kRules; }

}  // namespace plugind::pluginctl::conformance
