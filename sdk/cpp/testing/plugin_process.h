// PluginProcess starts a program as a host would and reads what it writes, for tests. Every wait
// has a limit, after which the test fails instead of hanging. Thread safety: none.
#pragma once

#include <sys/types.h>

#include <map>
#include <string>
#include <vector>

#include "sdk/cpp/src/fd.h"

namespace plugind::sdk {

class PluginProcess {
 public:
  // `environment` is the whole of it.
  PluginProcess(const std::vector<std::string>& command,
                const std::map<std::string, std::string>& environment);
  // SIGKILLs and reaps what is left.
  ~PluginProcess();
  PluginProcess(const PluginProcess&) = delete;
  PluginProcess& operator=(const PluginProcess&) = delete;

  pid_t pid() const { return pid_; }
  void Signal(int number) const;

  // The next line of stdout without its newline; "" at the end of it, or after 10 s.
  std::string ReadLine();
  // The path in the handshake line that comes next; "" if it is none.
  std::string ReadAddress();
  // Its last field of that line, "" if there was no certificate in it; after ReadAddress.
  const std::string& certificate() const { return certificate_; }
  // Everything on stderr up to and with `text`, for at most 10 s; "" if it does not come.
  std::string ReadErrorsUntil(const std::string& text);

  // Waits for the end, for at most 15 s; the wait status as waitpid has it, or -1.
  int WaitStatus();
  // The exit code; 128 + N for a death by signal N; -1 if it does not end.
  int ExitCode();
  // What is left on the streams; after the end.
  std::string RestOfOutput();
  std::string RestOfErrors();

 private:
  pid_t pid_ = -1;
  bool reaped_ = false;
  int status_ = -1;
  Fd pidfd_;
  Fd output_;
  Fd errors_;
  std::string output_text_;
  std::string errors_text_;
  std::string certificate_;
};

}  // namespace plugind::sdk
