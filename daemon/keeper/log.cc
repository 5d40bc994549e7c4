#include "daemon/keeper/log.h"

#include <poll.h>
#include <unistd.h>

#include <array>
#include <ctime>
#include <string>

namespace plugind::keeper {
namespace {

std::string Now() {
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  tm utc{};
  ::gmtime_r(&now.tv_sec, &utc);
  std::array<char, 32> day{};
  const size_t size = std::strftime(day.data(), day.size(), "%Y-%m-%dT%H:%M:%S", &utc);
  std::string micros = std::to_string(1'000'000 + now.tv_nsec / 1000);
  micros.front() = '.';
  return std::string(day.data(), size) + micros + "Z";
}

std::string Quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      out += ' ';
    } else {
      out += c;
    }
  }
  return out + '"';
}

}  // namespace

void Log(std::string_view level, std::string_view message) {
  std::string line;
  if (::isatty(STDERR_FILENO) != 0) {
    line.append("plugind-keeper: ").append(message);
  } else {
    line.append("{\"time\":\"").append(Now()).append("\",\"level\":").append(Quoted(level));
    line.append(",\"logger\":\"keeper\",\"message\":").append(Quoted(message)).append("}");
  }
  line += '\n';
  // A stderr that takes no line now (a pipe that nobody reads) must not hold up the keeper; the
  // line is lost.
  pollfd room{STDERR_FILENO, POLLOUT, 0};
  if (::poll(&room, 1, 0) == 1) (void)!::write(STDERR_FILENO, line.data(), line.size());
}

}  // namespace plugind::keeper
