// What a failed call means to the user: the words on stderr and the exit code.
#pragma once

#include <grpcpp/grpcpp.h>

#include <string>
#include <utility>
#include <vector>

#include "daemon/pluginctl/exit_code.h"

namespace plugind::pluginctl {

class Connection;

// The rich part of a status; empty where the server gave none.
struct ErrorDetails {
  std::string reason;  // a name of ErrorReason without its prefix
  std::vector<std::pair<std::string, std::string>> violations;  // place, what is wrong there
};
ErrorDetails ParseDetails(const grpc::Status& status);

// An answer that says "not now": the daemon is going down (and may come back), or it dropped a slow
// reader.
bool IsPassing(const grpc::Status& status);

// "pluginctl: MESSAGE" on stderr.
void Complain(const std::string& message);

// Complains about `status`, which is not OK, with a hint what to do. `plugin` is the plugin that
// the call was about, or empty.
ExitCode Report(Connection& connection, const grpc::Status& status, const std::string& plugin = "");

}  // namespace plugind::pluginctl
