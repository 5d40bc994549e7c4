#include "daemon/control/gate.h"

#include "daemon/control/convert.h"

namespace plugind::control {

grpc::Status Gate::Admit(const Caller& caller, Method method, const std::string& plugin) const {
  const std::string denial = Denial(caller, method);
  if (denial.empty()) return grpc::Status::OK;
  denied_({caller.name, caller.pid, std::string(AccessTo(method).path), plugin, denial});
  return AccessDenied(caller, method, denial);
}

grpc::Status Gate::Change(const Caller& caller, Method method, const std::string& plugin,
                          const std::function<grpc::Status()>& change) const {
  if (grpc::Status admitted = Admit(caller, method, plugin); !admitted.ok()) return admitted;
  const auto begun =
      audit_.Begin({caller.name, caller.pid, std::string(AccessTo(method).path), plugin});
  if (!begun.ok()) return AuditFailed(begun.status());
  grpc::Status done = change();
  audit_.End(*begun, CodeName(done.error_code()), done.error_message());
  return done;
}

}  // namespace plugind::control
