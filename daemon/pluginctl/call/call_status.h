// The end of a call to a plugin in words, and as an exit code.
#pragma once

#include <grpcpp/grpcpp.h>

#include <string>

#include "daemon/pluginctl/connection.h"
#include "daemon/pluginctl/exit_code.h"

namespace plugind::pluginctl {

// "NOT_FOUND"; "code 99" for one that gRPC does not define.
std::string CodeName(grpc::StatusCode code);

// Says on stderr what `status`, which is not OK, and its details say. `executed`: the trailer
// plugind-executed, or empty. What plugind itself has to say of the plugin (there is none of that
// name, …) is said as it is by the other verbs.
ExitCode ReportCall(Connection& connection, const grpc::Status& status, const std::string& plugin,
                    const std::string& executed = "");

}  // namespace plugind::pluginctl
