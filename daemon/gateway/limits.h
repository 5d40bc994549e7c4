// What one peer may cost. Every bound on bytes from outside stands here; those that an operator may
// want to move are keys of [gateway] in plugind.toml.
#pragma once

#include <cstddef>
#include <cstdint>

#include "daemon/base/clock.h"

namespace plugind::gateway {

struct Limits {
  // Configurable.
  uint32_t streams_per_connection = 100;  // SETTINGS_MAX_CONCURRENT_STREAMS
  uint32_t header_bytes = 8 * 1024;       // names + values + 32 each (RFC 9113, 6.5.2), one block
  uint32_t connections_per_caller = 64;   // a uid or a plugin; all sockets together
  Duration handshake = std::chrono::seconds(5);  // from accept to the client's SETTINGS
  uint32_t held_calls = 1000;                    // a plugin, on one thread
  // Token buckets of a connection, for what is cheap to send and costs work here: calls that end
  // before their answer has, and PING, SETTINGS, PRIORITY and empty DATA. They hold two seconds'
  // and one second's worth.
  uint32_t resets_per_second = 500;
  uint32_t control_frames_per_second = 2000;

  static constexpr size_t kEntryOverhead = 32;  // of a header, beside its name and value

  // The window of a stream at its start, and once its other side has been seen to keep up. What a
  // stream buffers here is never more than its window.
  static constexpr int32_t kStreamWindow = 128 * 1024;
  static constexpr int32_t kGrownWindow = 1536 * 1024;
  // All grown windows of one connection together; beyond it, streams stay at kStreamWindow.
  static constexpr int64_t kGrowthPerConnection = 48 * 1024 * 1024;
  // A connection's own window: credit comes back as bytes arrive, for a slow stream must not stop
  // the others.
  static constexpr int32_t kConnectionWindow = 16 * 1024 * 1024;
  static constexpr uint32_t kFrameSize = 128 * 1024;  // SETTINGS_MAX_FRAME_SIZE

  // Bodies that wait here, on one thread. Beyond it a call that would have to wait is ended.
  static constexpr size_t kBufferedBytes = size_t{256} * 1024 * 1024;

  // Serialized frames that wait for the socket. nghttp2 is asked for no more beyond it.
  static constexpr size_t kOutputBytes = 256 * 1024;
  // Of one connection in one round, so that one busy peer does not keep the others waiting.
  static constexpr size_t kReadPerRound = 512 * 1024;
  // A call costs more than its bytes: of a peer that has begun as many as this in what was read at
  // once, no more is read in that round, and less at once from then on.
  static constexpr size_t kHeaderBlocksPerRound = 64;
  static constexpr size_t kLeastRead = 8 * 1024;  // at once

  static constexpr size_t kContinuations = 8;  // of one header block
  // Beyond this multiple of header_bytes, a header block ends its connection: HPACK makes megabytes
  // of a few bytes, and each is work here.
  static constexpr size_t kHeadersFarBeyond = 16;
  // Frames that wait in a session whose peer does not read. Beyond it a caller is hung up on, and a
  // plugin's connection gets no more calls.
  static constexpr size_t kQueuedFrames = 1'000;

  // How long a socket stays open after the last word on it, and how many such there may be on one
  // thread; the oldest gives way.
  static constexpr Duration kLinger = std::chrono::seconds(1);
  static constexpr size_t kLingering = 64;

  // A request's body is remembered up to here until its plugin begins to answer, so that a call
  // that no plugin has executed can be sent again.
  static constexpr size_t kReplayBytes = 64 * 1024;
  // Connections to one instance, opened as a peer's own limit on streams asks for them.
  static constexpr size_t kConnectionsPerInstance = 16;
};

}  // namespace plugind::gateway
