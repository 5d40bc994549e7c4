#include "daemon/base/process_tree.h"

#include <signal.h>

#include <cerrno>
#include <charconv>
#include <fstream>
#include <string>
#include <utility>

namespace plugind {
namespace {

constexpr int kDeepest = 128;
constexpr int kAttempts = 4;

struct Kin {
  int parent = 0;
  int session = 0;
};

// Nothing when the process is gone or may not be looked at. /proc/PID/stat: "42 (name) S PPID PGRP
// SESSION …".
std::optional<Kin> KinOf(int pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
  std::string line;
  if (!std::getline(file, line)) return std::nullopt;
  // The name in parentheses may contain anything, also parentheses: the fields follow the last one.
  size_t at = line.rfind(')');
  Kin kin;
  for (int field = 3; field <= 6 && at != std::string::npos; ++field) {
    at = line.find(' ', at + 1);
    if (at == std::string::npos) break;
    int* value = field == 4 ? &kin.parent : field == 6 ? &kin.session : nullptr;
    if (value != nullptr) {
      std::from_chars(line.data() + at + 1, line.data() + line.size(), *value);
    }
  }
  return kin;
}

// One way up; nothing when somebody on it has ended meanwhile, or no end of it is seen.
std::optional<int> Climb(int pid, const std::function<bool(int)>& is) {
  for (int depth = 0; depth < kDeepest; ++depth) {
    if (pid > 0 && is(pid)) return pid;
    if (pid <= 1) return 0;
    const std::optional<Kin> kin = KinOf(pid);
    if (!kin) {
      // With hidepid, other users' processes exist and cannot be looked at.
      if (::kill(pid, 0) < 0 && errno == ESRCH) return std::nullopt;
      return 0;
    }
    if (kin->session > 1 && is(kin->session)) return kin->session;
    pid = kin->parent;
  }
  return std::nullopt;
}

}  // namespace

std::optional<int> FindAmongKin(int pid, const std::function<bool(int)>& is) {
  // An ancestor's end on the way up makes its child another's: a process that arranges for it would
  // pass for nobody's.
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    if (const auto found = Climb(pid, is)) return found;
  }
  return std::nullopt;
}

bool IsPartOf(int pid, int main_pid) {
  return FindAmongKin(pid, [main_pid](int one) { return one == main_pid; }).value_or(0) != 0;
}

}  // namespace plugind
