// pluginctl events: changes of state of all plugins or one, those kept and, with -f, those to come.
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <deque>

#include "daemon/pluginctl/error.h"
#include "daemon/pluginctl/json.h"
#include "daemon/pluginctl/state.h"
#include "daemon/pluginctl/stream.h"
#include "daemon/pluginctl/text.h"
#include "daemon/pluginctl/verbs/verbs.h"

namespace plugind::pluginctl {
namespace {

using v1::Event;

std::string Render(const Event& event, const Terminal& terminal) {
  std::string line = fmt::format(
      "{} {:>5} {} {} → {}", terminal.Paint(Colour::kDim, FormatTime(event.time())),
      event.sequence(), terminal.Paint(Colour::kBold, Printable(event.plugin())),
      StateName(event.from()), terminal.Paint(StateColour(event.to()), StateName(event.to())));
  line += fmt::format(" ({})", Printable(event.type()));
  if (event.pid() != 0) line += fmt::format(" pid={}", event.pid());
  if (!event.phase().empty()) line += ' ' + KeyValue("phase", event.phase());
  if (!event.reason().empty()) line += fmt::format(": {}", Printable(event.reason()));
  return line + '\n';
}

class Printer {
 public:
  // `next`: the number that the first event should have; 0: any.
  Printer(Context& context, const EventsOptions& options, uint64_t next)
      : context_(context), options_(options), next_(next) {}

  void Print(const Event& event) {
    // With one plugin's events alone, the numbers in between belong to others.
    if (options_.plugin.empty() && next_ != 0 && event.sequence() > next_) {
      context_.out.Flush();
      fmt::print(stderr, "events {}–{} no longer kept\n", next_, event.sequence() - 1);
    }
    next_ = event.sequence() + 1;
    context_.out.Write(options_.format == Format::kJson ? ToJson(event) + '\n'
                                                        : Render(event, context_.out_terminal));
  }
  void BeginAnew() { next_ = 0; }

 private:
  Context& context_;
  const EventsOptions& options_;
  uint64_t next_;
};

// The newest `count` of those kept. *next: where to go on after them.
grpc::Status ReadTail(Context& context, v1::WatchEventsRequest request, uint32_t count,
                      std::deque<Event>* tail, uint64_t* next) {
  v1::GetDaemonInfoResponse info;
  grpc::Status status = context.connection.Identify(DeadlineAfter(kAnswerLimit), &info, nullptr);
  if (!status.ok()) return status;
  *next = info.event_sequence() + 1;
  // Without a filter the place is known, and the rest need not be read.
  if (request.name().empty() && count < info.event_sequence()) {
    request.set_from_sequence(std::max(request.from_sequence(), info.event_sequence() - count + 1));
  }
  request.set_follow(false);
  EventStream stream(context.connection, request, kNever);
  for (Event event;;) {
    const EventStream::Got got = stream.Next(&event);
    if (got == EventStream::Got::kEnd) return stream.end();
    if (got != EventStream::Got::kItem) continue;
    *next = std::max(*next, event.sequence() + 1);
    tail->push_back(event);
    if (tail->size() > count) tail->pop_front();
  }
}

}  // namespace

ExitCode RunEvents(Context& context, const EventsOptions& options) {
  v1::WatchEventsRequest request;
  request.set_name(options.plugin);
  request.set_follow(options.follow);
  request.set_from_sequence(options.from);
  if (options.follow) context.out.EndWithReader();

  Printer printer(context, options, options.tail ? 0 : options.from);
  if (options.tail) {
    std::deque<Event> tail;
    uint64_t next = 0;
    const grpc::Status status = ReadTail(context, request, *options.tail, &tail, &next);
    for (const Event& event : tail) printer.Print(event);
    context.out.Flush();
    if (!status.ok()) return Report(context.connection, status, options.plugin);
    if (!options.follow) return ExitCode::kDone;
    request.set_from_sequence(next);
  }

  EventStream stream(context.connection, request, kNever);
  Event event;
  for (;;) {
    switch (stream.Next(&event)) {
      case EventStream::Got::kItem:
        printer.Print(event);
        if (stream.batch_done()) context.out.Flush();
        break;
      case EventStream::Got::kResumed:
        break;
      case EventStream::Got::kRenewed:
        printer.BeginAnew();
        fmt::print(stderr, "plugind was started afresh; its events begin anew\n");
        break;
      case EventStream::Got::kEnd:
        context.out.Flush();
        return stream.end().ok() ? ExitCode::kDone
                                 : Report(context.connection, stream.end(), options.plugin);
    }
  }
}

}  // namespace plugind::pluginctl
