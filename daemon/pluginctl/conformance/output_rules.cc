// What happens when nobody reads what it prints.
#include "daemon/pluginctl/conformance/bench.h"

namespace plugind::pluginctl::conformance {
namespace {

constexpr int kChecks = 50;

Finding Unread(Bench& bench) {
  ASSIGN_OR_RETURN(const auto instance, bench.StartServing());
  instance->process().StopReading();
  for (int i = 0; i < kChecks; ++i) {
    RETURN_IF_ERROR(instance->StillServing(
        fmt::format("while nobody read what it printed, at health check {},", i + 1)));
  }
  instance->process().GoOnReading();
  return instance->StillServing("when its output was read again");
}

Finding Closed(Bench& bench) {
  ASSIGN_OR_RETURN(const auto instance, bench.StartServing());
  instance->process().CloseOutput();
  for (int i = 0; i < kChecks; ++i)
    RETURN_IF_ERROR(instance->StillServing("when its stdout and stderr had been closed"));
  return Passed();
}

constexpr Rule kRules[] = {
    {"output-unread", Level::kFloor, Needs::kReady,
     "It answers while its host is slow to read what it prints: it does not print more with each "
     "call than a pipe holds.",
     Unread},
    {"output-closed", Level::kAdvice, Needs::kReady,
     "It lives on when the readers of its stdout and stderr have gone.", Closed},
};

}  // namespace

std::span<const Rule> OutputRules() { return kRules; }

}  // namespace plugind::pluginctl::conformance
