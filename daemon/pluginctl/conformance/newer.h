// Requests as a host of the future will send them: with fields that today's plugin.proto does not
// have, and capabilities and versions of which nobody has heard.
#pragma once

#include "plugind/plugin/v1/plugin.pb.h"

namespace plugind::pluginctl::conformance {

void MakeNewer(plugin::v1::NegotiateRequest* request);
void MakeNewer(plugin::v1::ConfigureRequest* request);

}  // namespace plugind::pluginctl::conformance
