// pluginctl logs: a plugin's log entries, those kept and, with -f, those to come.
#include <fmt/format.h>

#include <cstdio>

#include "daemon/pluginctl/error.h"
#include "daemon/pluginctl/json.h"
#include "daemon/pluginctl/log_text.h"
#include "daemon/pluginctl/stream.h"
#include "daemon/pluginctl/text.h"
#include "daemon/pluginctl/verbs/verbs.h"

namespace plugind::pluginctl {
namespace {

using v1::LogEntry;

std::string Render(const LogEntry& entry, const Terminal& terminal) {
  const LevelLook level = LookOf(entry.level());
  std::string line =
      fmt::format("{} {} {} {}", terminal.Paint(Colour::kDim, FormatTime(entry.time())),
                  terminal.Paint(level.colour, fmt::format("{:<5}", level.name)),
                  terminal.Paint(Colour::kDim, fmt::format("[{}]", SourceName(entry.source()))),
                  Printable(entry.message()));
  if (const std::string keys = KeysOf(entry); !keys.empty())
    line += terminal.Paint(Colour::kCyan, ' ' + keys);
  return line + '\n';
}

// Says on stderr what of the log is missing, in its place between the entries.
class Gaps {
 public:
  // `next`: the number that the first entry should have; 0: any.
  explicit Gaps(uint64_t next) : next_(next) {}

  void Before(const LogEntry& entry, Output& out) {
    if (next_ != 0 && entry.sequence() > next_) {
      out.Flush();
      fmt::print(stderr, "entries {}–{} no longer kept\n", next_, entry.sequence() - 1);
    }
    if (entry.dropped_bytes() != 0) {
      out.Flush();
      fmt::print(stderr, "… {} bytes dropped\n", entry.dropped_bytes());
    }
    next_ = entry.sequence() + 1;
  }
  void BeginAnew() { next_ = 0; }

 private:
  uint64_t next_;
};

// With "-n 0 -f" only new entries are wanted. The number of the newest old one is found first, so
// that the stream has a place to go on from even if the daemon dies before it brings anything.
grpc::Status StartAfterNewest(Connection& connection, v1::StreamLogsRequest* request) {
  v1::StreamLogsRequest last = *request;
  last.set_follow(false);
  last.set_tail(1);
  LogStream stream(connection, last, DeadlineAfter(kAnswerLimit));
  uint64_t newest = 0;
  for (LogEntry entry;;) {
    const LogStream::Got got = stream.Next(&entry);
    if (got == LogStream::Got::kItem) newest = entry.sequence();
    if (got == LogStream::Got::kEnd) break;
  }
  request->clear_tail();
  request->set_from_sequence(newest + 1);
  return stream.end();
}

}  // namespace

ExitCode RunLogs(Context& context, const LogsOptions& options) {
  v1::StreamLogsRequest request;
  request.set_name(options.name);
  request.set_follow(options.follow);
  request.set_from_sequence(options.since);
  if (options.tail) request.set_tail(*options.tail);
  if (options.follow) context.out.EndWithReader();
  if (options.follow && options.tail == 0u && options.since == 0) {
    const grpc::Status status = StartAfterNewest(context.connection, &request);
    if (!status.ok()) return Report(context.connection, status, options.name);
  }

  LogStream stream(context.connection, request, kNever);
  Gaps gaps(options.since);
  LogEntry entry;
  for (;;) {
    switch (stream.Next(&entry)) {
      case LogStream::Got::kItem:
        gaps.Before(entry, context.out);
        context.out.Write(options.format == Format::kJson ? ToJson(entry) + '\n'
                                                          : Render(entry, context.out_terminal));
        if (stream.batch_done()) context.out.Flush();
        break;
      case LogStream::Got::kResumed:
        break;
      case LogStream::Got::kRenewed:
        gaps.BeginAnew();
        fmt::print(stderr, "plugind was started afresh; the log begins anew\n");
        break;
      case LogStream::Got::kEnd:
        context.out.Flush();
        return stream.end().ok() ? ExitCode::kDone
                                 : Report(context.connection, stream.end(), options.name);
    }
  }
}

}  // namespace plugind::pluginctl
