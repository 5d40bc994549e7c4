// How it ends: asked to, told to, and when its host has gone.
#include <algorithm>
#include <csignal>
#include <filesystem>

#include "daemon/pluginctl/call/call_status.h"
#include "daemon/pluginctl/conformance/bench.h"

namespace plugind::pluginctl::conformance {
namespace {

constexpr Milliseconds kGrace{10'000};    // after SIGTERM
constexpr Milliseconds kShutdown{5'000};  // after an answer to Shutdown
constexpr Milliseconds kLease{2'000};     // after its host's death
constexpr Milliseconds kSlack{1'000};     // for a busy machine to show it

// Within the limit, or within --timeout if that is shorter; and with 0.
absl::Status EndsWell(Bench& bench, Instance& instance, Milliseconds limit,
                      std::string_view after) {
  limit = std::min(limit, bench.subject().timeout);
  const auto ended = instance.process().AwaitEnd(DeadlineAfter(limit));
  if (!ended) {
    return Error(absl::StatusCode::kDeadlineExceeded, "{} it is still running after {} ms", after,
                 limit.count());
  }
  if (ended->signal != 0 || ended->code != 0) {
    return Error(absl::StatusCode::kAborted, "{} it ended with {}; expected exit code 0", after,
                 ended->Words());
  }
  return absl::OkStatus();
}

Finding Sigterm(Bench& bench) {
  ASSIGN_OR_RETURN(const auto instance, bench.StartServing());
  instance->process().Signal(SIGTERM);
  const absl::Status status = EndsWell(bench, *instance, kGrace, "after SIGTERM");
  const auto ended = instance->process().AwaitEnd(std::chrono::steady_clock::now());
  if (!bench.facts().contract() && ended && ended->signal == SIGTERM)
    return Passed("it does not handle SIGTERM: it dies of it, and its calls with it");
  return status;
}

Finding Shutdown(Bench& bench) {
  ASSIGN_OR_RETURN(const auto instance, bench.StartServing());
  const grpc::Status status = instance->Shutdown();
  if (status.error_code() == grpc::StatusCode::UNIMPLEMENTED)
    return Skipped("it does not serve Shutdown");
  RETURN_IF_ERROR(EndsWell(bench, *instance, kShutdown, "after Shutdown"));
  return status.ok() ? Passed()
                     : Failed(fmt::format("it ended before it answered: {}", Words(status)));
}

Finding Controller(Bench& bench) {
  ASSIGN_OR_RETURN(const auto instance, bench.StartServing());
  const grpc::Status status = instance->ControllerShutdown();
  if (status.error_code() == grpc::StatusCode::UNIMPLEMENTED)
    return Skipped("it does not serve plugin.GRPCController");
  // The answer is often lost, also with go-plugin itself.
  return EndsWell(bench, *instance, kShutdown, "after plugin.GRPCController/Shutdown");
}

Finding Drain(Bench& bench) {
  const auto& capabilities = bench.facts().negotiated.capabilities();
  if (std::ranges::none_of(capabilities, [](const auto& each) { return each.name() == "drain"; }))
    return Skipped("it does not name the capability drain");
  ASSIGN_OR_RETURN(const auto instance, bench.StartServing());
  const grpc::Status status = instance->Drain();
  if (!status.ok()) return Failed(fmt::format("Drain ended with {}", Words(status)));
  return instance->StillServing("after Drain");
}

Finding HostDeath(Bench& bench) {
  ASSIGN_OR_RETURN(const auto instance, bench.StartServing());
  instance->process().KillHost();
  const auto ended = instance->process().AwaitEnd(DeadlineAfter(kLease + kSlack));
  if (!bench.facts().contract()) {
    return ended ? Passed()
                 : Passed("it outlives its host: whoever starts it has to see that it ends");
  }
  if (!ended) return Failed(fmt::format("it is still running after {} ms", kLease.count()));
  if (ended->signal == 0 && ended->code == 0) return Passed();
  return Failed(fmt::format("it ended with {}; expected exit code 0", ended->Words()));
}

Finding LeavesNothing(Bench& bench) {
  ASSIGN_OR_RETURN(const auto instance, bench.StartServing());
  instance->process().Signal(SIGTERM);
  if (!instance->process().AwaitEnd(DeadlineAfter(std::min(kGrace, bench.subject().timeout))))
    return Skipped("it does not end");
  if (!instance->process().AwaitSilence(DeadlineAfter(Milliseconds(500))))
    return Failed("a process of its own still has its stdout or stderr");
  for (const auto& entry : std::filesystem::directory_iterator(instance->directory()))
    return Failed(fmt::format("{} is left in its directory", entry.path().filename().string()));
  return Passed();
}

constexpr Rule kRules[] = {
    {"end-sigterm", Level::kFloor, Needs::kReady,
     "After SIGTERM it ends within 10 s, with 0; at the floor it may also die of the signal.",
     Sigterm},
    {"end-controller", Level::kFloor, Needs::kReady,
     "If it serves plugin.GRPCController, it ends within 5 s of its Shutdown, with 0.", Controller},
    {"end-shutdown", Level::kContract, Needs::kReady,
     "If it serves Shutdown, it answers that and ends within 5 s, with 0.", Shutdown},
    {"end-drain", Level::kContract, Needs::kReady,
     "If it names the capability drain, it answers Drain and goes on until it is told to end.",
     Drain},
    {"end-host-death", Level::kFloor, Needs::kReady,
     "When its host's process dies, it ends within 2 s, with 0; at the floor that is only advice.",
     HostDeath},
    {"end-leaves-nothing", Level::kAdvice, Needs::kReady,
     "It leaves no file in its directory, and no process.", LeavesNothing},
};

}  // namespace

std::span<const Rule> EndRules() { return kRules; }

}  // namespace plugind::pluginctl::conformance
