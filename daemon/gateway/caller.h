// Who calls, as the kernel tells it: the uid, gid and groups of the process that connected, or, on
// a plugin's own socket, that plugin. And sets of callers, as [access] and [control] name them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace plugind::gateway {

struct Caller {
  enum class Kind : uint8_t {
    kUser,
    kPlugin
  };
  Kind kind = Kind::kUser;
  std::string name;  // "uid:1000" or "plugin:frontend": what `plugind-caller` says
  uint32_t uid = 0;
  int pid = 0;                   // of the process that connected; it may have passed the fd on
  std::vector<uint32_t> groups;  // its gid and supplementary groups
  std::string plugin;            // kPlugin only

  static Caller User(uint32_t uid, int pid, std::vector<uint32_t> groups);
  static Caller Plugin(std::string plugin, uint32_t uid, int pid);
};
std::string_view ToString(Caller::Kind kind);  // "user", "plugin"

// SO_PEERCRED and SO_PEERGROUPS of a connected Unix socket; nothing when the kernel does not tell.
std::optional<Caller> Identify(int fd);

// Built once from the configuration, then only read: any thread.
class CallerSet {
 public:
  void AddUid(uint32_t uid) { uids_.push_back(uid); }
  void AddGroup(uint32_t gid) { gids_.push_back(gid); }
  void AddPlugin(std::string name) { plugins_.push_back(std::move(name)); }
  // "*": whoever can connect, plugins included.
  void AddEveryone() { everyone_ = true; }

  bool Contains(const Caller& caller) const;

 private:
  bool everyone_ = false;
  std::vector<uint32_t> uids_;
  std::vector<uint32_t> gids_;
  std::vector<std::string> plugins_;
};

}  // namespace plugind::gateway
