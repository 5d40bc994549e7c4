// A ring of numbered byte records in a memory that survives `kill -9` of the process between any
// two instructions.
//
//   | header | owner's bytes … | page │ records: [size][sequence][payload][pad to 8] … , wrapping
//   around |
//
// Positions count bytes since the beginning and never wrap; a position modulo the capacity is a
// place. Append first publishes the new tail (what is about to be overwritten is no longer a
// record), then writes the record into the free part, then publishes the head. That one store makes
// the record and its number valid together, because each record carries its number and the newest
// record is never evicted: the next number is always the newest record's plus one.
//
// Owned by the log that is kept in it. One thread.
#pragma once

#include <absl/status/statusor.h>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <span>
#include <string>
#include <string_view>

#include "daemon/base/unique_fd.h"
#include "daemon/observe/shared_memory.h"

namespace plugind::observe {

class SharedRing {
 public:
  // What the ring is for, so that a log's memory is never taken for another's.
  enum class Kind : uint32_t {
    kPluginLog = 0x474f4c50,
    kEventLog = 0x544e5645,
    kTest = 0x54534554,
  };

  // `capacity` bytes of records, rounded up to whole pages; `owner_bytes` of zeroed memory besides,
  // for the owner.
  static absl::StatusOr<SharedRing> Create(const std::string& name, Kind kind, size_t capacity,
                                           size_t owner_bytes);
  // Checks everything before it trusts anything. DATA_LOSS when it is no such ring or a damaged
  // one.
  static absl::StatusOr<SharedRing> Reopen(UniqueFd memory, Kind kind, size_t owner_bytes);

  const UniqueFd& memory() const { return memory_.fd(); }
  std::span<std::byte> owner_bytes() const;

  // The longest payload: half the ring less a header, so that the newest record need never make
  // room for the next.
  size_t max_payload() const;
  // Returns the record's number. A payload beyond max_payload() is cut there: its owner bounds it
  // and does not get so far.
  uint64_t Append(std::string_view payload);

  // Numbers begin at 1. [first_sequence, next_sequence) are kept.
  uint64_t first_sequence() const { return next_sequence_ - positions_.size(); }
  uint64_t next_sequence() const { return next_sequence_; }
  // The payload of a kept record, valid until the next Append. `scratch` holds it when it wraps
  // around.
  std::string_view Get(uint64_t sequence, std::string& scratch) const;

 private:
  struct Header;
  struct RecordHeader;

  explicit SharedRing(SharedMemory memory);
  absl::Status Index();
  Header& header() const;
  void CopyIn(uint64_t position, const void* from, size_t size);
  void CopyOut(uint64_t position, void* to, size_t size) const;

  SharedMemory memory_;
  std::span<std::byte> records_;
  // Where each kept record begins, and how far the last one goes: built once, so that later nothing
  // is read back from the shared memory to find a way through it.
  std::deque<uint64_t> positions_;
  uint64_t head_ = 0;
  uint64_t next_sequence_ = 1;
};

}  // namespace plugind::observe
