#include "daemon/pluginctl/author/narrator.h"

#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include <cerrno>

#include "daemon/pluginctl/log_text.h"
#include "daemon/pluginctl/state.h"
#include "daemon/pluginctl/text.h"

namespace plugind::pluginctl {
namespace {

constexpr size_t kTailLines = 20;

// Without the day: whoever watches knows it.
std::string TimeOfDay(const google::protobuf::Timestamp& time) {
  constexpr size_t kDay = sizeof("2026-11-20 ") - 1;
  const std::string whole = FormatTime(time);
  return whole.size() > kDay ? whole.substr(kDay) : whole;
}

}  // namespace

void Narrator::Line(std::string_view text) {
  if (!gone_) return;
  const std::string line = std::string(text) + '\n';
  std::string_view rest = line;
  while (!rest.empty()) {
    const ssize_t written = write(STDOUT_FILENO, rest.data(), rest.size());
    if (written >= 0) {
      rest.remove_prefix(static_cast<size_t>(written));
    } else if (errno == EAGAIN) {  // somebody made the terminal non-blocking
      pollfd writable{STDOUT_FILENO, POLLOUT, 0};
      poll(&writable, 1, -1);
    } else if (errno != EINTR) {
      return std::exchange(gone_, nullptr)();
    }
  }
}

void Narrator::Log(const v1::LogEntry& entry) {
  const LevelLook level = LookOf(entry.level());
  std::string line = fmt::format("{} {} {}", terminal_.Paint(Colour::kDim, TimeOfDay(entry.time())),
                                 terminal_.Paint(level.colour, fmt::format("{:<5}", level.name)),
                                 Printable(entry.message()));
  if (const std::string keys = KeysOf(entry); !keys.empty())
    line += terminal_.Paint(Colour::kCyan, ' ' + keys);
  if (entry.dropped_bytes() != 0)
    Warn(fmt::format("{} bytes of output were dropped", entry.dropped_bytes()));
  Line(line);
}

void Narrator::Change(const v1::Event& event) {
  std::string line = fmt::format("{} {} {}", terminal_.Paint(Colour::kDim, TimeOfDay(event.time())),
                                 terminal_.Paint(Colour::kBold, "STATE"),
                                 terminal_.Paint(StateColour(event.to()), StateName(event.to())));
  if (!event.phase().empty()) line += ' ' + Printable(event.phase());
  // Told of a state that stays.
  if (event.from() == event.to()) line += ' ' + Printable(event.type());
  if (event.pid() != 0) line += fmt::format(" (pid {})", event.pid());
  if (!event.reason().empty()) line += ": " + Printable(event.reason());
  Line(line);
}

void Narrator::Say(std::string_view text) { Line(text); }
void Narrator::Praise(std::string_view text) { Line(terminal_.Paint(Colour::kGreen, text)); }
void Narrator::Warn(std::string_view text) { Line(terminal_.Paint(Colour::kYellow, text)); }
void Narrator::Fail(std::string_view text) { Line(terminal_.Paint(Colour::kRed, text)); }

void Narrator::Fact(std::string_view name, std::string_view value) {
  Line(fmt::format("  {} {}", terminal_.Paint(Colour::kDim, fmt::format("{:<8}", name)), value));
}

void Narrator::Tail(const std::string& stderr_tail) {
  const std::vector<std::string> lines = LastLines(stderr_tail, kTailLines);
  if (lines.empty()) return;
  Line(terminal_.Paint(Colour::kDim, "  the end of its stderr:"));
  for (const std::string& line : lines) Line(terminal_.Paint(Colour::kRed, "  | ") + line);
}

}  // namespace plugind::pluginctl
