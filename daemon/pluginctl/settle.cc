#include "daemon/pluginctl/settle.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <utility>

#include "daemon/pluginctl/error.h"
#include "daemon/pluginctl/state.h"
#include "daemon/pluginctl/stream.h"
#include "daemon/pluginctl/text.h"

namespace plugind::pluginctl {
namespace {

constexpr size_t kTailLines = 10;

class Settling {
 public:
  Settling(Connection& connection, std::vector<Awaited> awaited, Deadline deadline,
           Progress& progress)
      : connection_(connection),
        pending_(std::move(awaited)),
        deadline_(deadline),
        progress_(progress) {}

  ExitCode Run() {
    ForEachPending([&](Awaited& each) {
      const Verdict verdict = each.target.See(each.seen);
      if (verdict == Verdict::kPending) {
        progress_.Begin(each.target.name(), each.seen.state(), each.seen.phase());
        return false;
      }
      return Conclude(each, verdict);
    });
    if (pending_.empty()) return result_;

    v1::WatchEventsRequest request;
    request.set_follow(true);
    request.set_from_sequence(
        std::ranges::min_element(pending_, {}, &Awaited::from_sequence)->from_sequence);
    if (pending_.size() == 1) request.set_name(pending_.front().target.name());
    EventStream events(connection_, request, deadline_);
    v1::Event event;
    while (!pending_.empty()) {
      switch (events.Next(&event)) {
        case EventStream::Got::kItem:
          Take(event);
          break;
        case EventStream::Got::kRenewed:
          for (Awaited& each : pending_) each.from_sequence = 0;
          [[fallthrough]];
        case EventStream::Got::kResumed:
          ForEachPending([&](Awaited& each) { return Refresh(each); });
          break;
        case EventStream::Got::kEnd:
          return GiveUp(events);
      }
    }
    return result_;
  }

 private:
  // `judge` says whether the plugin has settled and is to be forgotten.
  template <typename F>
  void ForEachPending(F judge) {
    std::erase_if(pending_, [&](Awaited& each) { return judge(each); });
  }

  void Take(const v1::Event& event) {
    ForEachPending([&](Awaited& each) {
      if (each.target.name() != event.plugin() || event.sequence() < each.from_sequence)
        return false;
      each.seen.set_state(event.to());
      each.seen.set_phase(event.phase());
      each.seen.set_reason(event.reason());
      each.seen.set_pid(event.pid());
      const Verdict verdict = each.target.See(event);
      return verdict == Verdict::kAskAgain ? Refresh(each) : Conclude(each, verdict);
    });
  }

  bool Look(Awaited& each) { return Conclude(each, each.target.See(each.seen)); }

  bool Refresh(Awaited& each) {
    switch (Fetch(each)) {
      case Fetched::kPlugin:
        return Look(each);
      case Fetched::kGone:
        return Conclude(each, each.target.SeeGone());
      case Fetched::kNothing:
        return false;
    }
    return false;
  }

  enum class Fetched {
    kPlugin,   // each.seen is current
    kGone,     // it is no longer configured
    kNothing,  // the daemon is away: the event stream will notice, and come back here
  };
  Fetched Fetch(Awaited& each) {
    v1::GetPluginRequest request;
    request.set_name(each.target.name());
    v1::GetPluginResponse response;
    const Deadline limit = std::min(deadline_, DeadlineAfter(kAnswerLimit));
    const grpc::Status status = connection_.Call(&Stub::GetPlugin, request, &response, limit);
    if (status.error_code() == grpc::StatusCode::NOT_FOUND) return Fetched::kGone;
    if (!status.ok()) return Fetched::kNothing;
    each.seen = std::move(*response.mutable_plugin());
    return Fetched::kPlugin;
  }

  bool Conclude(Awaited& each, Verdict verdict) {
    const std::string& name = each.target.name();
    switch (verdict) {
      case Verdict::kPending:
      case Verdict::kAskAgain:
        progress_.Show(name, each.seen.state(), each.seen.phase(), each.seen.reason());
        return false;
      case Verdict::kReached:
        progress_.Settle(name, fmt::format("{}: {}", name, Arrived(each)));
        return true;
      case Verdict::kMissed:
        break;
    }
    if (result_ == ExitCode::kDone) result_ = ExitCode::kFailed;
    // The snapshot has what an event lacks: the last exit. The event's own words are kept, being
    // about this failure.
    const v1::Plugin::State state = each.seen.state();
    const std::string reason = each.seen.reason();
    if (Fetch(each) == Fetched::kGone) {
      progress_.Settle(name, fmt::format("{}: removed from the configuration", name));
      return true;
    }
    if (each.target.goal() == Goal::kConfigured && !each.seen.settings().refused().empty()) {
      progress_.Settle(name, fmt::format("{}: refuses its new settings and goes on with the old "
                                         "ones: {}",
                                         name, Printable(each.seen.settings().refused())));
      return true;
    }
    std::string text = fmt::format("{}: {}", name, StateName(state));
    if (!reason.empty()) text += fmt::format(": {}", Printable(reason));
    if (each.target.EndedSince(each.seen)) {
      for (const std::string& line : LastLines(each.seen.last_exit().stderr_tail(), kTailLines)) {
        text += fmt::format("\n  | {}", line);
      }
    }
    progress_.Settle(name, text);
    return true;
  }

  static std::string Arrived(const Awaited& each) {
    switch (each.target.goal()) {
      case Goal::kGone:
        return "removed";
      case Goal::kStopped:
        return "stopped";
      case Goal::kConfigured:
        return "has its new settings";
      case Goal::kReady:
        break;
    }
    return each.seen.pid() == 0 ? "ready" : fmt::format("ready (pid {})", each.seen.pid());
  }

  ExitCode GiveUp(const EventStream& events) {
    if (!Passed(deadline_)) {
      const ExitCode code = Report(connection_, events.end());
      return result_ == ExitCode::kDone ? code : result_;
    }
    for (const Awaited& each : pending_) {
      std::string text =
          fmt::format("{}: timed out, still {}", each.target.name(), StateName(each.seen.state()));
      if (!each.seen.reason().empty()) text += fmt::format(": {}", Printable(each.seen.reason()));
      progress_.Settle(each.target.name(), text);
    }
    if (events.lost())
      progress_.Note(fmt::format("plugind at {} cannot be reached", connection_.socket()));
    return result_ == ExitCode::kDone ? ExitCode::kTimedOut : result_;
  }

  Connection& connection_;
  std::vector<Awaited> pending_;
  const Deadline deadline_;
  Progress& progress_;
  ExitCode result_ = ExitCode::kDone;
};

}  // namespace

ExitCode Settle(Connection& connection, std::vector<Awaited> awaited, Deadline deadline,
                Progress& progress) {
  return Settling(connection, std::move(awaited), deadline, progress).Run();
}

}  // namespace plugind::pluginctl
