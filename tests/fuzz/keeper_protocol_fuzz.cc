// The keeper's protocol, both directions: whatever arrives is refused or is exactly one message,
// byte for byte.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "daemon/keeper/protocol.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  if (const auto command = plugind::keeper::DecodeCommand(bytes)) {
    if (plugind::keeper::Encode(*command) != bytes) std::abort();
  }
  if (const auto report = plugind::keeper::DecodeReport(bytes)) {
    if (plugind::keeper::Encode(*report) != bytes) std::abort();
  }
  return 0;
}
