// The record of who changed what and who was refused: STATE_DIR/audit.log, one JSON object a line,
// only ever appended to, readable by its owner alone.
//
//   {"time":"2026-11-20T09:11:21.123456Z","kind":"intent","id":"18f2c3a4b5d6e7f8-3",
//    "caller":"uid:1000","pid":4242,"method":"/plugind.control.v1.PluginControl/StopPlugin",
//    "plugin":"greeter"}
//   {…,"kind":"outcome","id":"18f2c3a4b5d6e7f8-3",…,"code":"OK","message":"","durationMs":0.412}
//   {…,"kind":"denied","caller":"uid:65534",…,"reason":"uid:65534 may not call …","repeated":17}
//   {…,"kind":"lost","lines":2}
//
// An intent without an outcome: plugind was killed in between, or the disk failed. What callers
// send stays within its string and is cut to a bounded length. A line that the disk took in part is
// ended before the next one, so that every other line still parses.
//
// Owned by Daemon; on the supervisor's loop.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "daemon/base/clock.h"
#include "daemon/base/status.h"
#include "daemon/base/unique_fd.h"
#include "daemon/observe/denial_tally.h"

namespace plugind::observe {

class AuditLog {
 public:
  struct Subject {
    std::string caller;  // "uid:1000", "signal"
    int pid = 0;
    std::string method;
    std::string plugin;  // "" for the daemon as a whole
  };
  // One that has begun and must be ended.
  struct Change {
    std::string id;  // also unique among plugind's processes
    Subject subject;
    Instant began;
  };

  // `trouble` is told, in words, of lines that could not be written. Opens nothing yet.
  AuditLog(std::string path, const Clock& clock, std::function<void(const std::string&)> trouble);

  // Opens the file that is at the path now, for when somebody has moved the old one away, and keeps
  // the old one if that fails. A link, or anything but a plain file, is refused.
  absl::Status Reopen();

  // On disk when it returns. On an error nothing may be changed.
  absl::StatusOr<Change> Begin(Subject subject);
  // `code`: "OK", "NOT_FOUND", …
  void End(const Change& change, std::string_view code, std::string_view message);
  void Denied(const DenialTally::Line& denied);

 private:
  std::string Head(std::string_view kind, const Subject& subject);
  absl::Status Append(std::string_view line);
  absl::Status Write(std::string_view line);
  void Lose(const absl::Status& why);

  const std::string path_;
  const Clock& clock_;
  const std::function<void(const std::string&)> trouble_;
  const std::string prefix_;  // of ids
  uint64_t changes_ = 0;
  UniqueFd file_;
  bool torn_ = false;  // the file does not end in a newline
  uint64_t lost_ = 0;  // lines, not yet told in the file
};

}  // namespace plugind::observe
