// The streams that a caller has passed over: whoever opens stream 5 after stream 1 has closed
// stream 3, and may not come back to it (RFC 9113, 5.1.1). nghttp2 takes such a HEADERS for a late
// frame of a stream that it has forgotten, and drops it. Owned by a CallerConnection.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

namespace plugind::gateway {

class SkippedStreams {
 public:
  // A HEADERS frame begins. False: its stream was passed over.
  bool Begin(int32_t stream) {
    if (stream > last_) {
      // In 64 bits: the first stream may be the last that there can be.
      if (int64_t{stream} - last_ > kStep) {
        gaps_[next_++ % gaps_.size()] = {last_ + kStep, stream - kStep};
      }
      last_ = stream;
      return true;
    }
    return std::none_of(gaps_.begin(), gaps_.end(), [stream](const Gap& gap) {
      return gap.first <= stream && stream <= gap.last;
    });
  }

 private:
  struct Gap {
    int32_t first = 0;
    int32_t last = -1;
  };
  static constexpr int32_t kStep = 2;  // a client's streams are odd

  // Those that a peer with more gaps has left longest are forgotten: it gains nothing by them.
  std::array<Gap, 4> gaps_;
  size_t next_ = 0;
  int32_t last_ = -1;
};

}  // namespace plugind::gateway
