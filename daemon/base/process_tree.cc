#include "daemon/base/process_tree.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstdint>
#include <string>
#include <string_view>

#include "daemon/base/unique_fd.h"

namespace plugind {
namespace {

// Each costs a look into /proc, on a thread that serves others: a caller must not make it long.
constexpr int kDeepest = 64;
constexpr int kAttempts = 4;

enum class Sight : uint8_t {
  kSeen,
  kGone,
  kHidden,  // hidepid: it exists, and is not for this user to look at
  kFailed,  // no fd, no memory
};

struct Kin {
  int parent = 0;
  int session = 0;
};

// /proc/PID/stat: "42 (name) S PPID PGRP SESSION …".
Sight LookAt(int pid, Kin* kin) {
  char text[512];  // the fields that count come first
  ssize_t size = -1;
  const UniqueFd file(
      ::open(("/proc/" + std::to_string(pid) + "/stat").c_str(), O_RDONLY | O_CLOEXEC));
  if (file.valid()) size = ::read(file.get(), text, sizeof text);
  if (size <= 0) {
    const bool missing = size == 0 || errno == ENOENT || errno == ESRCH;
    if (!missing && errno != EPERM && errno != EACCES) return Sight::kFailed;
    return ::kill(pid, 0) < 0 && errno == ESRCH ? Sight::kGone : Sight::kHidden;
  }
  const std::string_view line(text, static_cast<size_t>(size));
  // The name in parentheses may contain anything, also parentheses: the fields follow the last one.
  size_t at = line.rfind(')');
  for (int field = 3; field <= 6 && at != std::string_view::npos; ++field) {
    at = line.find(' ', at + 1);
    if (at == std::string_view::npos) break;
    int* value = field == 4 ? &kin->parent : field == 6 ? &kin->session : nullptr;
    if (value != nullptr) {
      std::from_chars(line.data() + at + 1, line.data() + line.size(), *value);
    }
  }
  return Sight::kSeen;
}

}  // namespace

std::optional<int> FindAmongKin(int pid, const std::function<bool(int)>& is) {
  int attempts = 1;
  int at = pid;
  for (int depth = 0; depth < kDeepest; ++depth) {
    if (at > 0 && is(at)) return at;
    if (at <= 1) return 0;
    Kin kin;
    switch (LookAt(at, &kin)) {
      case Sight::kSeen:
        if (kin.session > 1 && is(kin.session)) return kin.session;
        at = kin.parent;
        break;
      case Sight::kGone:
        // Its end has made its child another's: a process that arranges for it would pass for
        // nobody's.
        if (attempts++ == kAttempts) return std::nullopt;
        at = pid;
        break;
      case Sight::kHidden:
        return 0;
      case Sight::kFailed:
        return std::nullopt;
    }
  }
  return std::nullopt;
}

bool IsPartOf(int pid, int main_pid) {
  return FindAmongKin(pid, [main_pid](int one) { return one == main_pid; }).value_or(0) != 0;
}

}  // namespace plugind
