// A plugin process as a host has it: started in its own session with the environment of the
// contract, its output read all the time, its end seen. When this object goes, so do the process
// and all of its descendants. A thread of its own reads; every method is for one other thread.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <condition_variable>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "daemon/base/status.h"
#include "daemon/base/unique_fd.h"
#include "daemon/pluginctl/deadline.h"

namespace plugind::pluginctl::conformance {

// The end of what a process printed on stderr; outlives the process for whoever reports about it.
class StderrTail {
 public:
  void Append(std::string_view bytes);
  std::string Get() const;

 private:
  mutable std::mutex mutex_;
  std::string text_;  // at most 8 KiB
};

struct Launch {
  std::vector<std::string> command;                // the program is a path
  std::map<std::string, std::string> environment;  // nothing else is inherited
  std::string working_directory;
  std::string folder;  // all of the files of this run of pluginctl: gone with it, whatever happens
  std::shared_ptr<StderrTail> stderr_tail =
      std::make_shared<StderrTail>();  // shared with the report
};

struct Ended {
  int code = 0;
  int signal = 0;  // 0: it ended by itself, with `code`
  Deadline at;

  // "exit code 3", "SIGSEGV".
  std::string Words() const;
};

struct Line {
  std::string text;   // without its newline
  bool whole = true;  // it had one
  Deadline at;        // when it was read
};

class HostProcess {
 public:
  static absl::StatusOr<std::unique_ptr<HostProcess>> Start(const Launch& launch);
  HostProcess(const HostProcess&) = delete;
  HostProcess& operator=(const HostProcess&) = delete;
  ~HostProcess();

  pid_t pid() const { return pid_; }

  // The next line on stdout that was not yet taken; nothing when stdout ends or the deadline
  // passes.
  std::optional<Line> NextLine(Deadline deadline);
  std::optional<Ended> AwaitEnd(Deadline deadline);
  std::string Stderr() const { return stderr_->Get(); }
  // Both streams are at their end: whoever had them has closed them or gone.
  bool AwaitSilence(Deadline deadline);

  void Signal(int signal);
  // The plugin's parent, and so its host, dies at once.
  void KillHost();
  // From now on nobody reads what it prints; CloseOutput: nor can anybody.
  void StopReading();
  void GoOnReading();
  void CloseOutput();

 private:
  enum class Reading {
    kOn,
    kPaused,
    kClosed
  };

  HostProcess() = default;
  void Read();
  void SetReading(Reading reading);
  void TakeOutput(std::string_view bytes);
  void SetEnded(int status);

  pid_t pid_ = -1;
  pid_t custodian_ = -1;
  UniqueFd control_, news_, out_, err_, wake_;

  std::mutex mutex_;
  std::condition_variable changed_;
  Reading reading_ = Reading::kOn;
  bool stopping_ = false;
  bool silent_ = false;
  std::deque<Line> lines_;  // not yet taken; bounded
  std::string partial_;     // of a line whose end has not come
  std::shared_ptr<StderrTail> stderr_;
  std::optional<Ended> ended_;
  std::thread reader_;
};

}  // namespace plugind::pluginctl::conformance
