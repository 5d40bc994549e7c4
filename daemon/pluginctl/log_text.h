// The parts of a log entry as words.
#pragma once

#include <string>
#include <string_view>

#include "daemon/pluginctl/terminal.h"
#include "plugind/control/v1/control.pb.h"

namespace plugind::pluginctl {

namespace v1 = ::plugind::control::v1;

struct LevelLook {
  std::string name;
  Colour colour = Colour::kNone;
};
LevelLook LookOf(v1::LogEntry::Level level);

// "stdout", "stderr", "plugind"; "-" where it is not known.
std::string_view SourceName(v1::LogEntry::Source source);

// Module and fields as logfmt has them: `module=kv id=7`. Empty where there are none.
std::string KeysOf(const v1::LogEntry& entry);

}  // namespace plugind::pluginctl
