// What operators decided and what therefore outlives the daemon: which plugins are stopped, which
// enabled or disabled against their file. One JSON file in the state directory, replaced whole
// (write, fsync, rename, fsync the directory), so that at every instant it parses and says either
// the old or the new. Owned by main; on the supervisor's loop. Set blocks it for one fsync:
// decisions are rare.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "daemon/base/status.h"

namespace plugind::supervisor {

struct Decision {
  bool stopped = false;         // beats every automatic rule
  std::optional<bool> enabled;  // beats `enabled` in the plugin's file
  friend bool operator==(const Decision&, const Decision&) = default;
};

class OperatorState {
 public:
  // From DIRECTORY/state.json; no such file is an empty state. DATA_LOSS when it does not parse:
  // the caller decides.
  static absl::StatusOr<OperatorState> Load(const std::string& directory);
  // Moves an unreadable file out of the way, to state.json.damaged, and begins anew.
  static absl::StatusOr<OperatorState> SetAsideAndBegin(const std::string& directory);

  Decision Get(const std::string& plugin) const;
  // Durable when it returns OK. Otherwise Get tells which decision stands, here as in the file: the
  // old one, or the new one where the very last step failed, so that a power failure may bring the
  // old one back. Setting it again tries again.
  absl::Status Set(const std::string& plugin, const Decision& decision);

 private:
  explicit OperatorState(std::string directory) : directory_(std::move(directory)) {}

  std::string directory_;
  std::map<std::string, Decision> decisions_;
  bool durable_ = true;  // the file's name is known to be on disk too
};

}  // namespace plugind::supervisor
