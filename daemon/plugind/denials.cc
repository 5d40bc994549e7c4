#include "daemon/plugind/denials.h"

#include <utility>

namespace plugind {
namespace {

// How long equal denials are counted before the count is written. With DenialTally's bounds it is a
// few hundred KiB a minute at the very worst.
constexpr Duration kSummary = std::chrono::minutes(1);

}  // namespace

Denials::Denials(EventLoop& loop, observe::AuditLog& audit, std::function<observe::Logger&()> log)
    : loop_(loop), audit_(audit), log_(std::move(log)), summary_(loop.timers()) {}

void Denials::Tell(const observe::Denial& denial) {
  if (tally_.Add(denial)) loop_.Post([this] { WriteFirsts(); });
}

void Denials::WriteFirsts() {
  for (const auto& line : tally_.TakeFirsts()) Write(line);
  if (!summary_.armed()) {
    summary_.Set(loop_.clock().Now() + kSummary, [this] { Flush(); });
  }
}

void Denials::Flush() {
  summary_.Clear();
  for (const auto& line : tally_.TakeAll()) Write(line);
}

void Denials::Write(const observe::DenialTally::Line& line) {
  audit_.Denied(line);
  log_().Warn(line.repeated == 0 ? "a call was denied" : "more calls were denied",
              {{"caller", line.denial.caller},
               {"pid", line.denial.pid},
               {"plugin", line.denial.plugin},
               {"method", line.denial.method},
               {"reason", line.denial.reason},
               {"repeated", line.repeated}});
}

}  // namespace plugind
