#include "daemon/gateway/caller.h"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

namespace plugind::gateway {
namespace {

// Of the process that connected, at the time when it did. Linux ≥ 4.13; without it, the gid alone.
std::vector<uint32_t> PeerGroups(int fd, gid_t gid) {
  std::vector<gid_t> groups(32);
  socklen_t size = static_cast<socklen_t>(groups.size() * sizeof(gid_t));
  int result = ::getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups.data(), &size);
  if (result < 0 && errno == ERANGE) {
    groups.resize(size / sizeof(gid_t));
    result = ::getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups.data(), &size);
  }
  groups.resize(result < 0 ? 0 : size / sizeof(gid_t));
  if (std::find(groups.begin(), groups.end(), gid) == groups.end()) groups.push_back(gid);
  return groups;
}

template <typename T>
bool Has(const std::vector<T>& values, const T& value) {
  return std::find(values.begin(), values.end(), value) != values.end();
}

}  // namespace

Caller Caller::User(uint32_t uid, int pid, std::vector<uint32_t> groups) {
  Caller caller;
  caller.kind = Kind::kUser;
  caller.name = "uid:" + std::to_string(uid);
  caller.uid = uid;
  caller.pid = pid;
  caller.groups = std::move(groups);
  return caller;
}

Caller Caller::Plugin(std::string plugin, uint32_t uid, int pid) {
  Caller caller;
  caller.kind = Kind::kPlugin;
  caller.name = "plugin:" + plugin;
  caller.uid = uid;
  caller.pid = pid;
  caller.plugin = std::move(plugin);
  return caller;
}

std::string_view ToString(Caller::Kind kind) {
  switch (kind) {
    case Caller::Kind::kUser:
      return "user";
    case Caller::Kind::kPlugin:
      return "plugin";
  }
  return "";
}

std::optional<Caller> Identify(int fd) {
  ucred peer{};
  socklen_t size = sizeof peer;
  if (::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0) return std::nullopt;
  return Caller::User(peer.uid, peer.pid, PeerGroups(fd, peer.gid));
}

bool CallerSet::Contains(const Caller& caller) const {
  if (everyone_) return true;
  // A plugin is known by its name alone: that it runs under some uid gives it no user's rights.
  if (caller.kind == Caller::Kind::kPlugin) return Has(plugins_, caller.plugin);
  return Has(uids_, caller.uid) || std::any_of(caller.groups.begin(), caller.groups.end(),
                                               [this](uint32_t gid) { return Has(gids_, gid); });
}

}  // namespace plugind::gateway
