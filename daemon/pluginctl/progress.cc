#include "daemon/pluginctl/progress.h"

#include <fmt/format.h>

#include <cstdio>
#include <utility>

#include "daemon/pluginctl/state.h"
#include "daemon/pluginctl/text.h"

namespace plugind::pluginctl {

void Progress::Begin(const std::string& plugin, v1::Plugin::State state, const std::string& phase) {
  if (terminal_.cursor) Show(plugin, state, phase, "");
}

void Progress::Show(const std::string& plugin, v1::Plugin::State state, const std::string& phase,
                    const std::string& reason) {
  std::string line = fmt::format("{} {}", plugin, StateName(state));
  if (!phase.empty()) line += fmt::format(" {}", Printable(phase));
  if (!terminal_.cursor && !reason.empty()) line += fmt::format(": {}", Printable(reason));
  if (std::exchange(now_[plugin], line) == line) return;
  if (terminal_.cursor) {
    Draw();
  } else {
    Note(line);
  }
}

void Progress::Settle(const std::string& plugin, const std::string& line) {
  now_.erase(plugin);
  Note(line);
}

void Progress::Note(const std::string& line) {
  Erase();
  fmt::print(stderr, "{}\n", line);
  Draw();
}

void Progress::Erase() {
  if (drawn_) fmt::print(stderr, "\r\x1b[K");
  drawn_ = false;
}

void Progress::Draw() {
  if (!terminal_.cursor || now_.empty()) return;
  std::string line;
  for (const auto& [plugin, part] : now_) line += (line.empty() ? "" : " · ") + part;
  Erase();
  fmt::print(stderr, "{}", Truncate(line, terminal_.columns - 1));
  drawn_ = true;
}

}  // namespace plugind::pluginctl
