#include "daemon/observe/rfc3339.h"

#include <fmt/format.h>

#include <ctime>

namespace plugind::observe {

std::string Rfc3339(WallTime time) {
  using std::chrono::duration_cast;
  using std::chrono::microseconds;
  using std::chrono::seconds;
  const auto since = duration_cast<microseconds>(time.time_since_epoch());
  const auto whole = std::chrono::floor<seconds>(since);
  const std::time_t second = whole.count();
  std::tm parts{};
  ::gmtime_r(&second, &parts);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:06}Z", parts.tm_year + 1900,
                     parts.tm_mon + 1, parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec,
                     (since - whole).count());
}

}  // namespace plugind::observe
