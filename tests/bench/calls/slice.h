// One slice of load: calls against one target, one at a time or many in flight, for a fixed time.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "echo.grpc.pb.h"

namespace plugind::bench {

enum class Mode {
  kUnary,
  kStreaming,  // each of `in_flight` Chat streams has one message under way; a call is its return
};

struct Load {
  Mode mode;
  size_t size;       // bytes in a message
  size_t in_flight;  // 1: one call at a time
  std::chrono::nanoseconds duration;
};

struct Outcome {
  std::vector<std::chrono::nanoseconds> latencies;  // of calls that ended in the measured part
  std::chrono::nanoseconds measured{};              // how long that part was
  uint64_t all = 0;                                 // calls that succeeded, warm-up included
  uint64_t failed = 0;
  std::string error;  // of the first that failed
};

// Makes calls for `load.duration`, and for up to five seconds more until two of each caller have
// ended, so that slow ones are measured too. The first fifth is warm-up and is not measured. Then
// the calls under way are waited for, for five more seconds at most. Everything happens on the
// calling thread. It stops early when a call has failed.
Outcome RunSlice(bench::v1::Echo::Stub& stub, const Load& load);

}  // namespace plugind::bench
