// What `plugin run` shows: the plugin's log and its changes of state, a line each and in columns,
// and between them the tool's own words. Each is flushed at once. One thread.
#pragma once

#include <string>
#include <string_view>

#include "daemon/pluginctl/output.h"
#include "daemon/pluginctl/terminal.h"
#include "plugind/control/v1/control.pb.h"

namespace plugind::pluginctl {

namespace v1 = ::plugind::control::v1;

class Narrator {
 public:
  Narrator(Output& out, const Terminal& terminal) : out_(out), terminal_(terminal) {}

  void Log(const v1::LogEntry& entry);
  void Change(const v1::Event& event);
  // Words of our own; text that came from elsewhere must be Printable already.
  void Say(std::string_view text);
  void Praise(std::string_view text);
  void Warn(std::string_view text);
  void Fail(std::string_view text);
  // Name and value, the names in a column.
  void Fact(std::string_view name, std::string_view value);
  // The end of what a process said on stderr.
  void Tail(const std::string& stderr_tail);

 private:
  void Line(std::string_view text);

  Output& out_;
  const Terminal& terminal_;
};

}  // namespace plugind::pluginctl
