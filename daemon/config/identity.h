// `user` and `group` of a plugin's file, looked up in the system's databases.
#pragma once

#include <sys/types.h>

#include <string>

#include "daemon/base/custody.h"

namespace plugind::config {

struct IdentityLookup {
  Identity identity;
  std::string user_error;   // what is wrong with `user`; empty: nothing
  std::string group_error;  // the same for `group`
};

// Either may be empty, not both: without `user` the uid stays `euid`; without `group` the group is
// the user's own. Numbers are taken for ids. The supplementary groups are the user's; only `group`
// when the user has no entry or is not given. Only root may become somebody: with another `euid`
// all is an error.
IdentityLookup LookUpIdentity(const std::string& user, const std::string& group, uid_t euid);

}  // namespace plugind::config
