// The bytes of one stream between the pipe and the log: taken off the pipe, not yet made into
// entries. They lie in the memory that survives `kill -9`, so that no byte is lost and none is
// taken twice, at whatever instruction it strikes.
//
// A read has three steps: BeginFill covers the place with a pattern and publishes the intent; the
// caller reads straight into it; EndFill publishes what came. A successor that finds an intent
// standing compares the place with the pattern: untouched, the read did not happen; otherwise it
// did. The pattern is made of the bytes 0xF8…0xFF, which no valid UTF-8 contains, in an order that
// the plugin cannot know: text is told from it exactly, whatever its length, and even bytes chosen
// to look like it do so only by chance (1 in 8 for each byte).
//
// Owned by PluginLog, one for each stream. One thread.
#pragma once

#include <absl/status/status.h>
#include <sys/uio.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace plugind::observe {

// How far a stream's bytes were made into entries. Counted since the memory was made.
struct Progress {
  uint64_t consumed = 0;   // = delivered + dropped
  uint64_t delivered = 0;  // in entries or taken by the tap, newlines included
  uint64_t dropped = 0;
  uint32_t skipping = 0;  // 1 within a line that was cut: all is dropped up to its newline
  uint32_t failing = 0;   // 1 within a panic or traceback; see ParseLine
};

class Staging {
 public:
  static constexpr size_t kCapacity = size_t{32} * 1024;
  using Bytes = std::span<char, kCapacity>;
  // The source of the pattern: random, made with the memory.
  using Secret = std::array<char, 256>;

  // What lies in the shared memory. Zero at the beginning.
  struct Control {
    uint64_t end;         // published: bytes that have come
    uint64_t intent_end;  // published: beyond `end` while a read is under way
    uint64_t base;        // published: the offset that lies at the first byte
    uint64_t selected;    // published: which of the two is valid
    std::array<Progress, 2> progress;
  };

  // All three outlive it.
  Staging(Control& control, Bytes bytes, const Secret& secret);
  static void MakePattern(Secret& secret);

  // After the death of a predecessor: decides a read that was under way. DATA_LOSS when the memory
  // is damaged.
  absl::Status Recover();

  size_t free_space() const;
  // Room for `size` bytes, at most free_space(): where to read them to, in two pieces.
  std::array<iovec, 2> BeginFill(size_t size);
  // What came of it; 0 when nothing did.
  void EndFill(size_t size);
  // BeginFill and EndFill in one, for bytes that are in our hands anyway.
  void Append(std::string_view bytes);

  // The first `limit` bytes that are not consumed, or all; valid until the next fill. `scratch`
  // holds them when they wrap.
  std::string_view Pending(size_t limit, std::string& scratch) const;
  uint64_t pending() const { return control_.end - progress_.consumed; }
  uint64_t end() const { return control_.end; }

  // Progress is made in two steps. What has got into the ring is safe there already, so many lines
  // share one Commit.
  Progress& progress() { return progress_; }
  const Progress& progress() const { return progress_; }
  void Commit();

 private:
  size_t Place(uint64_t offset) const { return (offset - control_.base) % kCapacity; }
  std::array<iovec, 2> Range(uint64_t offset, size_t size) const;

  Control& control_;
  Bytes bytes_;
  const Secret& secret_;
  Progress progress_;
};

}  // namespace plugind::observe
