#include "daemon/base/process_tree.h"

#include <charconv>
#include <fstream>
#include <string>
#include <utility>

namespace plugind {
namespace {

constexpr int kDeepest = 64;

struct Kin {
  int parent = 0;
  int session = 0;
};

// Zeros when the process is gone. /proc/PID/stat: "42 (name) S PPID PGRP SESSION …".
Kin KinOf(int pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
  std::string line;
  std::getline(file, line);
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

}  // namespace

int FindAmongKin(int pid, const std::function<bool(int)>& is) {
  for (int depth = 0; pid > 1 && depth < kDeepest; ++depth) {
    if (is(pid)) return pid;
    const Kin kin = KinOf(pid);
    if (kin.session > 1 && is(kin.session)) return kin.session;
    pid = kin.parent;
  }
  return 0;
}

bool IsPartOf(int pid, int main_pid) {
  return FindAmongKin(pid, [main_pid](int one) { return one == main_pid; }) != 0;
}

}  // namespace plugind
