// pluginctl wait: until a plugin is in, or passes through, one of some states.
#include <fmt/format.h>

#include <algorithm>

#include "daemon/pluginctl/error.h"
#include "daemon/pluginctl/progress.h"
#include "daemon/pluginctl/state.h"
#include "daemon/pluginctl/stream.h"
#include "daemon/pluginctl/text.h"
#include "daemon/pluginctl/verbs/verbs.h"

namespace plugind::pluginctl {
namespace {

class Waiting {
 public:
  Waiting(Context& context, const WaitOptions& options)
      : connection_(context.connection),
        options_(options),
        deadline_(DeadlineAfter(options.timeout)),
        progress_(context.err_terminal) {}

  ExitCode Run() {
    // The newest event's number before the snapshot: what changes after the snapshot comes as an
    // event, so nothing is missed between the two.
    v1::GetDaemonInfoResponse info;
    const Deadline soon = std::min(deadline_, DeadlineAfter(kAnswerLimit));
    grpc::Status status = connection_.Identify(soon, &info, nullptr);
    if (status.ok()) status = Look();
    if (!status.ok()) return Fail(status);
    if (Arrived()) return Succeed();

    v1::WatchEventsRequest request;
    request.set_name(options_.name);
    request.set_from_sequence(info.event_sequence() + 1);
    request.set_follow(true);
    EventStream events(connection_, request, deadline_);
    for (v1::Event event;;) {
      switch (events.Next(&event)) {
        case EventStream::Got::kItem:
          state_ = event.to();
          reason_ = event.reason();
          phase_ = event.phase();
          break;
        case EventStream::Got::kRenewed:
        case EventStream::Got::kResumed:
          // The snapshot may be gone again by now; the events since are still to come.
          if (status = Look(); !status.ok()) return Fail(status);
          break;
        case EventStream::Got::kEnd:
          return Fail(events.end());
      }
      if (Arrived()) return Succeed();
    }
  }

 private:
  grpc::Status Look() {
    v1::GetPluginRequest request;
    request.set_name(options_.name);
    v1::GetPluginResponse response;
    const Deadline soon = std::min(deadline_, DeadlineAfter(kAnswerLimit));
    const grpc::Status status = connection_.Call(&Stub::GetPlugin, request, &response, soon);
    if (!status.ok()) return status;
    state_ = response.plugin().state();
    reason_ = response.plugin().reason();
    phase_ = response.plugin().phase();
    return status;
  }

  bool Arrived() {
    if (std::ranges::find(options_.states, state_) != options_.states.end()) return true;
    progress_.Show(options_.name, state_, phase_, reason_);
    return false;
  }

  ExitCode Succeed() {
    progress_.Settle(options_.name, fmt::format("{}: {}", options_.name, StateName(state_)));
    return ExitCode::kDone;
  }

  ExitCode Fail(const grpc::Status& status) {
    if (!Passed(deadline_)) return Report(connection_, status, options_.name);
    std::string text = fmt::format("{}: timed out, still {}", options_.name, StateName(state_));
    if (!reason_.empty()) text += fmt::format(": {}", Printable(reason_));
    progress_.Settle(options_.name, text);
    return ExitCode::kTimedOut;
  }

  Connection& connection_;
  const WaitOptions& options_;
  const Deadline deadline_;
  Progress progress_;
  v1::Plugin::State state_ = v1::Plugin::STATE_UNSPECIFIED;
  std::string reason_, phase_;
};

}  // namespace

ExitCode RunWait(Context& context, const WaitOptions& options) {
  return Waiting(context, options).Run();
}

}  // namespace plugind::pluginctl
