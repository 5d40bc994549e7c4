// One plugin's log: what it printed, as structured entries with sequence numbers, in a ring of
// bounded size.
//
// The ring lies in a memfd that the keeper holds, so it survives `kill -9` of plugind between any
// two instructions: no entry that had a number is lost, none is there twice, and bytes taken from a
// pipe but not yet turned into an entry are still there (see README.md for the order of stores that
// makes this so).
//
// Life: Create or Reopen → Attach(instance, pipes) → Pump whenever a pipe is readable → Detach when
// the tree is gone. Lives on the supervisor's loop; one thread.
#pragma once

#include <absl/status/statusor.h>

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/base/clock.h"
#include "daemon/base/unique_fd.h"
#include "daemon/observe/log_entry.h"

namespace plugind::observe {

class LogMemory;
enum LogStream : uint8_t;
struct Provenance;

class PluginLog {
 public:
  // A longer line is cut here; the rest of it, up to its newline, is dropped and counted.
  static constexpr size_t kMaxLine = size_t{16} * 1024;

  // `capacity`: bytes for entries; raised to what the two longest entries take (200 KiB) where it
  // is less. Errors: the kernel's, when there is no memory or no fd.
  static absl::StatusOr<std::unique_ptr<PluginLog>> Create(const std::string& plugin,
                                                           size_t capacity, const Clock& clock);
  // Takes over the memory of a predecessor. DATA_LOSS when it is not such a memory (then Create a
  // new one).
  static absl::StatusOr<std::unique_ptr<PluginLog>> Reopen(const std::string& plugin,
                                                           UniqueFd memory, const Clock& clock);
  ~PluginLog();

  const UniqueFd& memory() const;

  // What each line from the stdout pipe goes through before it becomes an entry, without its
  // newline. `truncated`: there was more of it. Returns true when it took the line (a handshake),
  // which is then not logged. It may call SetStdoutTap and AppendNotice, but not Attach, Detach,
  // Pump or AppendOutput.
  using StdoutTap = std::function<bool(std::string_view line, bool truncated)>;
  // The pipes of a new instance, or of the same one after plugind's death; made non-blocking. Open
  // lines of an earlier instance are ended. Then Pump both once: a predecessor may have left bytes
  // that it had read but not yet logged.
  void Attach(std::string instance, UniqueFd stdout_pipe, UniqueFd stderr_pipe);
  // Null: every line is logged. A line taken twice (once before plugind's death and once after) is
  // possible; a lost one is not.
  void SetStdoutTap(StdoutTap tap);
  // Whether lines are read for level, message and fields (the default), or kept as they are.
  void SetStructured(bool structured);
  // Takes what is left in the pipes, without blocking and 1 MiB at most, ends open lines, and
  // closes the pipes. The owner has unwatched them: epoll goes on reporting a closed fd for as long
  // as the keeper holds another one to the same pipe.
  void Detach();

  int fd(Source stream) const;  // kStdout or kStderr; -1 when closed
  enum class Pumped {
    kDrained,  // nothing more for now
    kMore,    // the bound for one call (64 KiB) was reached; call again after others had their turn
    kClosed,  // the writers have closed it: unwatch the fd and call Close
  };
  Pumped Pump(Source stream);
  // Ends the stream's open line and closes its fd.
  void Close(Source stream);

  // A line or lines that came another way (GRPCStdio chunks, not aligned to lines). Not shown to
  // the tap.
  void AppendOutput(Source source, std::string_view bytes);
  // plugind's own words about the plugin; cut at kMaxLine.
  void AppendNotice(Level level, std::string_view message);

  uint64_t next_sequence() const;
  uint64_t dropped_bytes() const;  // in all
  // Since the memory was made: read = delivered + dropped + pending, always.
  struct Accounting {
    uint64_t read = 0;
    uint64_t delivered = 0;  // in entries or taken by the tap, newlines included
    uint64_t dropped = 0;
    uint64_t pending = 0;  // of open lines
  };
  Accounting accounting() const;

  // Kept entries from `from` on (or the oldest kept), at most `limit`.
  std::vector<LogEntry> Read(uint64_t from, size_t limit) const;
  // The first number of the newest `count` entries.
  uint64_t TailStart(uint64_t count) const;
  // The newest stderr text of `instance`, whole lines, `max_bytes` at most.
  std::string StderrTail(std::string_view instance, size_t max_bytes) const;

  // The newest line that `instance` wrote to stderr; empty when there is none.
  std::string LastStderrLine(std::string_view instance) const;

  // Called after entries were appended, once per Pump or Append. For followers; one only.
  void OnAppended(std::function<void()> callback);

 private:
  enum class Taken {
    kBytes,
    kNothing,
    kEnd,
  };

  PluginLog(std::unique_ptr<LogMemory> memory, const Clock& clock);

  Taken ReadOnce(LogStream stream, size_t limit, size_t& taken);
  Pumped PumpPipe(LogStream stream, size_t limit);
  void ClosePipe(LogStream stream);
  void ParseStaged(LogStream stream, bool end_open_line);
  void Deliver(LogStream stream, std::string_view line, size_t bytes, bool cut);
  bool TakenByTap(std::string_view line, bool cut);
  void EndStreams();

  void KeepNotice(Level level, std::string_view message);
  void Keep(LogEntry entry, const Provenance& provenance);
  void Notify();

  const std::unique_ptr<LogMemory> memory_;
  const Clock& clock_;
  std::array<UniqueFd, 2> pipes_;
  bool structured_ = true;
  std::shared_ptr<StdoutTap> tap_;  // shared with the call under way, which may replace it
  std::function<void()> on_appended_;
  uint64_t notified_;  // the number before which followers were told of all entries
};

}  // namespace plugind::observe
