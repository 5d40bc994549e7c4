#include "daemon/config/identity.h"

#include <fmt/format.h>
#include <grp.h>
#include <pwd.h>

#include <cerrno>
#include <charconv>
#include <cstdint>
#include <cstring>
#include <optional>
#include <vector>

#include "daemon/config/value.h"

namespace plugind::config {
namespace {

constexpr size_t kMaxEntryBytes = 1024 * 1024;  // of a group with very many members

struct User {
  std::string name;
  uid_t uid;
  gid_t gid;
};

std::optional<uint32_t> AsId(const std::string& text) {
  uint32_t id = 0;
  const char* end = text.data() + text.size();
  const auto [parsed, error] = std::from_chars(text.data(), end, id);
  // (uid_t)-1 means "leave it as it is" to the kernel.
  return error == std::errc{} && parsed == end && id != UINT32_MAX ? std::optional(id)
                                                                   : std::nullopt;
}

// Calls one of the get…_r functions with a buffer that is large enough. Returns its errno; *found
// is null without entry.
template <typename Entry, typename Get>
int LookUp(Get get, Entry* entry, std::vector<char>* buffer, Entry** found) {
  buffer->resize(4096);
  while (true) {
    *found = nullptr;
    const int error = get(entry, buffer->data(), buffer->size(), found);
    if (error == ERANGE && buffer->size() < kMaxEntryBytes) {
      buffer->resize(buffer->size() * 2);
    } else if (error != EINTR) {
      // Some databases answer so for "no such entry".
      return error == ENOENT || error == ESRCH ? 0 : error;
    }
  }
}

std::optional<User> FindUser(const std::string& text, std::string* error) {
  passwd entry{};
  passwd* found = nullptr;
  std::vector<char> buffer;
  const auto id = AsId(text);
  const int failed = LookUp<passwd>(
      [&](passwd* out, char* bytes, size_t size, passwd** result) {
        return id ? getpwuid_r(*id, out, bytes, size, result)
                  : getpwnam_r(text.c_str(), out, bytes, size, result);
      },
      &entry, &buffer, &found);
  if (failed != 0) {
    *error = fmt::format("{} cannot be looked up: {}", Shown(text), std::strerror(failed));
  }
  if (found == nullptr) return std::nullopt;
  return User{found->pw_name, found->pw_uid, found->pw_gid};
}

std::optional<gid_t> FindGroup(const std::string& text, std::string* error) {
  if (const auto id = AsId(text)) return *id;
  group entry{};
  group* found = nullptr;
  std::vector<char> buffer;
  const int failed = LookUp<group>(
      [&](group* out, char* bytes, size_t size, group** result) {
        return getgrnam_r(text.c_str(), out, bytes, size, result);
      },
      &entry, &buffer, &found);
  if (failed != 0) {
    *error = fmt::format("{} cannot be looked up: {}", Shown(text), std::strerror(failed));
  } else if (found == nullptr) {
    *error = fmt::format("there is no group {}", Shown(text));
  }
  return found == nullptr ? std::nullopt : std::optional(found->gr_gid);
}

std::vector<uint32_t> GroupsOf(const User& user, gid_t gid) {
  std::vector<gid_t> groups(32);
  auto count = static_cast<int>(groups.size());
  while (getgrouplist(user.name.c_str(), gid, groups.data(), &count) < 0) {
    // The count needed, or the same again from a C library that does not say.
    groups.resize(std::max(static_cast<size_t>(count), groups.size() * 2));
    count = static_cast<int>(groups.size());
  }
  return {groups.begin(), groups.begin() + count};
}

}  // namespace

IdentityLookup LookUpIdentity(const std::string& user, const std::string& group, uid_t euid) {
  IdentityLookup result;
  if (euid != 0) {
    constexpr auto kNotRoot = "plugind must run as root for this";
    if (!user.empty()) result.user_error = kNotRoot;
    if (!group.empty()) result.group_error = kNotRoot;
    return result;
  }

  std::optional<gid_t> gid;
  if (!group.empty()) gid = FindGroup(group, &result.group_error);

  std::optional<User> found;
  result.identity.uid = euid;
  if (!user.empty()) {
    found = FindUser(user, &result.user_error);
    const auto id = AsId(user);
    if (found) {
      result.identity.uid = found->uid;
    } else if (id) {
      result.identity.uid = *id;
      if (group.empty() && result.user_error.empty()) {
        result.user_error = fmt::format("user {} has no entry, so \"group\" must be set", *id);
      }
    } else if (result.user_error.empty()) {
      result.user_error = fmt::format("there is no user {}", Shown(user));
    }
  }
  if (!result.user_error.empty() || !result.group_error.empty()) return result;

  result.identity.gid = gid ? *gid : found->gid;
  result.identity.groups =
      found ? GroupsOf(*found, result.identity.gid) : std::vector<uint32_t>{result.identity.gid};
  return result;
}

}  // namespace plugind::config
