// What `plugin run` shows: the plugin's log and its changes of state, a line each and in columns,
// and between them the tool's own words. Each goes to standard output at once. One thread.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <utility>

#include "daemon/pluginctl/terminal.h"
#include "plugind/control/v1/control.pb.h"

namespace plugind::pluginctl {

namespace v1 = ::plugind::control::v1;

class Narrator {
 public:
  // `gone` is called once, when nobody reads any more: unlike Output this one does not end the
  // program, which has things to put away.
  Narrator(const Terminal& terminal, std::function<void()> gone)
      : terminal_(terminal), gone_(std::move(gone)) {}

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

  const Terminal& terminal_;
  std::function<void()> gone_;  // empty: it was called
};

}  // namespace plugind::pluginctl
