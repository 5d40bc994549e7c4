#include "daemon/pluginctl/terminal.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdlib>

namespace plugind::pluginctl {
namespace {

constexpr std::string_view Code(Colour colour) {
  switch (colour) {
    case Colour::kNone:
      return "";
    case Colour::kBold:
      return "1";
    case Colour::kDim:
      return "2";
    case Colour::kRed:
      return "31";
    case Colour::kGreen:
      return "32";
    case Colour::kYellow:
      return "33";
    case Colour::kBlue:
      return "34";
    case Colour::kCyan:
      return "36";
  }
  return "";
}

std::string_view Environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? std::string_view() : value;
}

}  // namespace

std::string Terminal::Paint(Colour with, std::string_view text) const {
  if (!colour || with == Colour::kNone) return std::string(text);
  return fmt::format("\x1b[{}m{}\x1b[0m", Code(with), text);
}

Terminal InspectTerminal(int fd) {
  Terminal terminal;
  terminal.is_terminal = isatty(fd) == 1;
  if (!terminal.is_terminal) return terminal;
  const std::string_view kind = Environment("TERM");
  terminal.cursor = !kind.empty() && kind != "dumb";
  terminal.colour = terminal.cursor && Environment("NO_COLOR").empty();
  winsize size{};
  terminal.columns = ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
  terminal.lines = size.ws_row;
  return terminal;
}

}  // namespace plugind::pluginctl
