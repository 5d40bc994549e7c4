// What every call of the control server passes before anything else is done for it: is this caller
// allowed to, and is it on record? No audit, no mutation. Owned by ControlServer; on the
// supervisor's loop.
#pragma once

#include <grpcpp/support/status.h>

#include <functional>
#include <string>

#include "daemon/control/access.h"
#include "daemon/observe/audit_log.h"

namespace plugind::control {

class Gate {
 public:
  // `denied`: puts a denial on record.
  Gate(observe::AuditLog& audit, std::function<void(const observe::Denial&)> denied)
      : audit_(audit), denied_(std::move(denied)) {}

  // OK, or PERMISSION_DENIED. `plugin`: the one that is asked about, or "".
  grpc::Status Admit(const Caller& caller, Method method, const std::string& plugin) const;
  // For methods that change something: runs `change` between the record of the intent and that of
  // its outcome, or not at all.
  grpc::Status Change(const Caller& caller, Method method, const std::string& plugin,
                      const std::function<grpc::Status()>& change) const;

 private:
  observe::AuditLog& audit_;
  const std::function<void(const observe::Denial&)> denied_;
};

}  // namespace plugind::control
