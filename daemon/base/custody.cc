#include "daemon/base/custody.h"

#include <cstring>

namespace plugind {

std::string_view ToString(SpawnStep step) {
  switch (step) {
    case SpawnStep::kPipe:
      return "pipe";
    case SpawnStep::kFork:
      return "fork";
    case SpawnStep::kSession:
      return "setsid";
    case SpawnStep::kStdio:
      return "stdio";
    case SpawnStep::kLimits:
      return "setrlimit";
    case SpawnStep::kIdentity:
      return "setuid";
    case SpawnStep::kWorkingDirectory:
      return "chdir";
    case SpawnStep::kCloseFds:
      return "close_range";
    case SpawnStep::kNoNewPrivileges:
      return "PR_SET_NO_NEW_PRIVS";
    case SpawnStep::kParentDeathSignal:
      return "PR_SET_PDEATHSIG";
    case SpawnStep::kExec:
      return "exec";
  }
  return "unknown step";
}

std::string ToString(const ExitStatus& status) {
  if (status.signal == 0) return "exit code " + std::to_string(status.code);
  const char* name = ::strsignal(status.signal);
  std::string text = "killed by signal " + std::to_string(status.signal) + " (" +
                     (name != nullptr ? name : "unknown") + ")";
  if (status.oom) text += ", out of memory";
  if (status.core) text += ", core dumped";
  return text;
}

}  // namespace plugind
