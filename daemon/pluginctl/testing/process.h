// pluginctl (or a shell) as a process of its own: its arguments and environment go in, what it
// prints and its exit code come out. One thread uses it.
#pragma once

#include <sys/types.h>

#include <condition_variable>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "daemon/base/unique_fd.h"

namespace plugind::pluginctl::testing {

struct Result {
  int code = -1;  // 128 + signal when a signal ended it
  std::string out, err;
};

struct ProcessOptions {
  std::map<std::string, std::string> env =
      {};                 // beside PATH, LANG and TZ; nothing else is inherited
  bool terminal = false;  // stdout and stderr are one terminal of 60 columns; read it as `out`
};

class Process {
 public:
  explicit Process(std::vector<std::string> argv, const ProcessOptions& options = {});
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;
  // Kills it if it still runs.
  ~Process();

  // Until the text was printed on either stream. False after 20 s, or when the process ended
  // without it.
  bool AwaitText(const std::string& text);
  void Signal(int signal);
  // As when "| head" ends.
  void CloseStdout();
  // Kills it after 20 s.
  Result Wait();

 private:
  void Read();

  pid_t pid_ = -1;
  UniqueFd out_, err_, wake_;
  std::mutex mutex_;
  std::condition_variable changed_;
  Result result_;
  bool ended_ = false;
  bool close_stdout_ = false;
  std::thread reader_;
};

// A pluginctl with these arguments, from start to end.
Result Pluginctl(const std::vector<std::string>& arguments, const ProcessOptions& options = {});

// The binary under test.
const std::string& PluginctlPath();

}  // namespace plugind::pluginctl::testing
