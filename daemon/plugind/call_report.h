// What the gateway has counted, as the control RPC's message. Pure.
#pragma once

#include <string>
#include <vector>

#include "daemon/base/clock.h"
#include "daemon/gateway/call_totals.h"
#include "plugind/control/v1/control.pb.h"

namespace plugind {

// `plugin`: only calls to it; "": all.
void FillCalls(const std::vector<gateway::CallTotals>& from, const std::string& plugin,
               control::v1::ListCallsResponse* to);

void FillDuration(Duration from, google::protobuf::Duration* to);

}  // namespace plugind
