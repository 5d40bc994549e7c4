// A status with a machine-readable reason, which the control RPC sends as google.rpc.ErrorInfo.
#pragma once

#include <absl/strings/cord.h>

#include <string>
#include <string_view>

#include "daemon/base/status.h"

namespace plugind::supervisor {

inline constexpr char kReasonPayload[] = "plugind/reason";

// `reason`: a value of ErrorReason in control.proto without its prefix, e.g. "PLUGIN_NOT_FOUND".
inline absl::Status WithReason(absl::Status status, std::string_view reason) {
  status.SetPayload(kReasonPayload, absl::Cord(absl::string_view(reason.data(), reason.size())));
  return status;
}
inline std::string ReasonOf(const absl::Status& status) {
  const auto payload = status.GetPayload(kReasonPayload);
  return payload ? std::string(*payload) : std::string();
}

}  // namespace plugind::supervisor
