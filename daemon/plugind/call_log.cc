#include "daemon/plugind/call_log.h"

#include <string>
#include <utility>

namespace plugind {
namespace {

using gateway::CallEnd;
using gateway::Outcome;
using observe::Level;

constexpr Duration kSecond = std::chrono::seconds(1);

// A CallEnd that owns its words.
struct Line {
  explicit Line(const CallEnd& end)
      : caller(end.caller),
        plugin(end.plugin),
        method(end.method),
        outcome(end.outcome),
        code(end.code),
        duration(end.duration),
        trace(end.trace),
        detail(end.detail) {}

  std::string caller;
  std::string plugin;
  std::string method;
  Outcome outcome;
  int code;
  Duration duration;
  std::string trace;
  std::string detail;
};

void Write(observe::Logger& log, Level importance, const Line& line) {
  log.Log(importance, "a call has ended",
          {{"caller", line.caller},
           {"plugin", line.plugin},
           {"method", line.method},
           {"outcome", ToString(line.outcome)},
           {"code", line.code},
           {"duration_ms", std::chrono::duration<double, std::milli>(line.duration).count()},
           {"trace", line.trace},
           {"detail", line.detail}});
}

}  // namespace

CallLog::CallLog(EventLoop& loop, std::function<observe::Logger&()> log)
    : loop_(loop), log_(std::move(log)), report_(loop.timers()) {}

observe::Level CallLog::Importance(Outcome outcome) {
  switch (outcome) {
    case Outcome::kOk:
    case Outcome::kError:
    case Outcome::kRejected:  // denials are told by themselves
    case Outcome::kCancelled:
      return Level::kDebug;
    case Outcome::kDeadline:
      return Level::kInfo;
    case Outcome::kNotExecuted:
    case Outcome::kMaybeExecuted:
      return Level::kWarn;
  }
  return Level::kDebug;
}

void CallLog::Tell(Level importance, const CallEnd& end) {
  bool first = false;
  if (TakeRoom(importance, &first)) {
    loop_.Post([this, importance, line = Line(end)] {
      GiveBackRoom(importance);
      Write(log_(), importance, line);
    });
  } else if (first) {
    loop_.Post([this] { report_.Set(loop_.clock().Now() + kSecond, [this] { TellLeftOut(); }); });
  }
}

bool CallLog::TakeRoom(Level importance, bool* first) {
  const MutexLock lock(mutex_);
  bool room = false;
  if (importance == Level::kDebug) {
    room = waiting_ < kWaitingLines;
    if (room) ++waiting_;
  } else {
    const Instant now = loop_.clock().Now();
    if (now - second_ >= kSecond) {
      second_ = now;
      lines_ = 0;
    }
    room = lines_ < kLinesPerSecond;
    if (room) ++lines_;
  }
  if (!room) *first = left_out_++ == 0;
  return room;
}

void CallLog::GiveBackRoom(Level importance) {
  if (importance != Level::kDebug) return;
  const MutexLock lock(mutex_);
  --waiting_;
}

void CallLog::TellLeftOut() {
  uint64_t calls = 0;
  {
    const MutexLock lock(mutex_);
    calls = std::exchange(left_out_, 0);
  }
  log_().Warn("more calls have ended than are logged one by one", {{"left_out", calls}});
}

}  // namespace plugind
