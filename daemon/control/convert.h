// From the daemon's plain values to the control RPC's messages, and from its statuses to gRPC's
// with their details. Pure.
#pragma once

#include <grpcpp/support/status.h>

#include "daemon/base/clock.h"
#include "daemon/base/status.h"
#include "daemon/config/diff.h"
#include "daemon/config/load.h"
#include "daemon/control/access.h"
#include "daemon/observe/event_log.h"
#include "daemon/observe/log_entry.h"
#include "daemon/supervisor/status.h"
#include "plugind/control/v1/control.pb.h"

namespace plugind::control {

void Fill(const supervisor::PluginStatus& from, v1::Plugin* to);
void Fill(const observe::LogEntry& from, v1::LogEntry* to);
void Fill(const observe::Event& from, v1::Event* to);
void Fill(const config::Diff& from, v1::ReloadResponse* to);
void Fill(WallTime from, google::protobuf::Timestamp* to);

// With google.rpc.ErrorInfo when the status has a reason (supervisor/reason.h).
grpc::Status ToGrpc(const absl::Status& status);
// INVALID_ARGUMENT, CONFIG_INVALID, and every problem as a BadRequest.FieldViolation.
grpc::Status ConfigInvalid(const std::vector<config::Problem>& problems);
// PERMISSION_DENIED, ACCESS_DENIED.
grpc::Status AccessDenied(const Caller& caller, Method method, const std::string& message);
// UNAVAILABLE, AUDIT_FAILED: nothing has been changed.
grpc::Status AuditFailed(const absl::Status& why);
// As gRPC's documents write it: "OK", "NOT_FOUND", …
std::string_view CodeName(grpc::StatusCode code);

}  // namespace plugind::control
