// How a call ended. Every call that is admitted or turned away ends in exactly one of these.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace plugind::gateway {

enum class Outcome : uint8_t {
  kOk,             // the plugin said OK
  kError,          // the plugin said anything else
  kRejected,       // turned away here: policy, limits, a malformed call
  kCancelled,      // by the caller
  kDeadline,       // passed; told by the gateway
  kNotExecuted,    // UNAVAILABLE, and no plugin has seen it
  kMaybeExecuted,  // UNAVAILABLE after it was sent
};
inline constexpr std::array kOutcomes = {
    Outcome::kOk,       Outcome::kError,       Outcome::kRejected,      Outcome::kCancelled,
    Outcome::kDeadline, Outcome::kNotExecuted, Outcome::kMaybeExecuted,
};

constexpr std::string_view ToString(Outcome outcome) {
  switch (outcome) {
    case Outcome::kOk:
      return "ok";
    case Outcome::kError:
      return "error";
    case Outcome::kRejected:
      return "rejected";
    case Outcome::kCancelled:
      return "cancelled";
    case Outcome::kDeadline:
      return "deadline";
    case Outcome::kNotExecuted:
      return "unavailable_not_executed";
    case Outcome::kMaybeExecuted:
      return "unavailable_maybe_executed";
  }
  return "";
}

}  // namespace plugind::gateway
