#include <unistd.h>

#include <cerrno>
#include <ctime>
#include <nlohmann/json.hpp>
#include <string>

#include "plugind/plugin.h"

namespace plugind {
namespace {

const char* Name(LogLevel level) {
  switch (level) {
    case LogLevel::kTrace:
      return "trace";
    case LogLevel::kDebug:
      return "debug";
    case LogLevel::kInfo:
      return "info";
    case LogLevel::kWarn:
      return "warn";
    case LogLevel::kError:
      return "error";
  }
  return "info";
}

// As hclog has it: "2026-11-20T09:00:00.000000Z".
std::string Timestamp() {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  tm utc{};
  gmtime_r(&now.tv_sec, &utc);
  char seconds[32];
  std::strftime(seconds, sizeof(seconds), "%Y-%m-%dT%H:%M:%S", &utc);
  const std::string micros = std::to_string(1'000'000 + now.tv_nsec / 1000);
  return std::string(seconds) + "." + micros.substr(1) + "Z";
}

std::string String(std::string_view text) { return std::string(text); }

template <typename Pairs>
void Write(LogLevel level, std::string_view message, const Pairs& fields) noexcept {
  try {
    nlohmann::ordered_json line;
    line["@level"] = Name(level);
    line["@message"] = String(message);
    line["@timestamp"] = Timestamp();
    for (const auto& [key, value] : fields) line[String(key)] = String(value);
    // `replace`: text that is not UTF-8 is still a line.
    const std::string text =
        line.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
    std::string_view rest = text;
    while (!rest.empty()) {
      const ssize_t written = write(STDERR_FILENO, rest.data(), rest.size());
      if (written < 0 && errno != EINTR) return;
      if (written > 0) rest.remove_prefix(static_cast<size_t>(written));
    }
  } catch (const std::exception&) {
    // Out of memory, in practice. Logging is the one thing that may be left undone then, as the
    // header says.
  }
}

}  // namespace

void log(LogLevel level, std::string_view message,
         std::initializer_list<std::pair<std::string_view, std::string_view>> fields) noexcept {
  Write(level, message, fields);
}

void log(LogLevel level, std::string_view message, const Fields& fields) noexcept {
  Write(level, message, fields);
}

}  // namespace plugind
