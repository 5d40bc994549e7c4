#include "daemon/gateway/spin.h"

#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <string_view>

#include "daemon/base/unique_fd.h"

namespace plugind::gateway {
namespace {

constexpr Duration kRecent = std::chrono::milliseconds(2);  // "calls have just been passing"
// Reading /proc/loadavg takes some microseconds.
constexpr Duration kLookEvery = std::chrono::milliseconds(5);
constexpr uint32_t kMissesBeforeRest = 4;
constexpr Duration kRest = std::chrono::milliseconds(1);

int Processors() {
  cpu_set_t set;
  CPU_ZERO(&set);
  return ::sched_getaffinity(0, sizeof set, &set) == 0 ? std::max(1, CPU_COUNT(&set)) : 1;
}

// Threads that run or want to, this one included; /proc/loadavg: "0.20 0.18 0.12 1/80 11206".
int Runnable() {
  const UniqueFd file(::open("/proc/loadavg", O_RDONLY | O_CLOEXEC));
  char buffer[128];
  const ssize_t size = file.valid() ? ::read(file.get(), buffer, sizeof buffer) : -1;
  if (size <= 0) return 0;
  const std::string_view text(buffer, static_cast<size_t>(size));
  const size_t slash = text.find('/');
  if (slash == std::string_view::npos) return 0;
  const size_t from = text.rfind(' ', slash) + 1;
  int count = 0;
  std::from_chars(text.data() + from, text.data() + slash, count);
  return count;
}

}  // namespace

Duration Spin::Budget(Instant now) {
  if (bound_ <= Duration::zero() || now - traffic_ > kRecent || now < rest_until_) {
    return Duration::zero();
  }
  if (now - looked_ > kLookEvery) {
    static const int processors = Processors();
    looked_ = now;
    crowded_ = processors < 2 || Runnable() > processors;
  }
  return crowded_ ? Duration::zero() : bound_;
}

void Spin::Record(bool found, Instant now) {
  if (found) {
    misses_ = 0;
  } else if (++misses_ >= kMissesBeforeRest) {
    misses_ = 0;
    rest_until_ = now + kRest;
  }
}

}  // namespace plugind::gateway
