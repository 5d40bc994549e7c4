// What a waiting verb tells meanwhile, on stderr: on a terminal one line that is overwritten,
// elsewhere a line per change.
#pragma once

#include <map>
#include <string>

#include "daemon/pluginctl/terminal.h"
#include "plugind/control/v1/control.pb.h"

namespace plugind::pluginctl {

namespace v1 = ::plugind::control::v1;

class Progress {
 public:
  explicit Progress(const Terminal& terminal) : terminal_(terminal) {}
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  ~Progress() { Erase(); }

  // What `plugin` is like to begin with: only a terminal's line has it, for it is no change.
  void Begin(const std::string& plugin, v1::Plugin::State state, const std::string& phase);
  // `plugin` has changed.
  void Show(const std::string& plugin, v1::Plugin::State state, const std::string& phase,
            const std::string& reason);
  // A line that stays: how it ended for `plugin`, which then leaves the overwritten line.
  void Settle(const std::string& plugin, const std::string& line);
  // A line that stays.
  void Note(const std::string& line);

 private:
  void Erase();
  void Draw();

  const Terminal& terminal_;
  std::map<std::string, std::string> now_;  // by plugin: what was told last
  bool drawn_ = false;
};

}  // namespace plugind::pluginctl
