// How an entry lies in the ring of its log. Pure functions over bytes.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "daemon/observe/log_entry.h"
#include "daemon/observe/staging.h"

namespace plugind::observe {

// Where an entry came from: its stream (an index, kNoStream for plugind's own words), and the
// stream's progress once the entry is in the ring. By that a successor knows which staged bytes
// have become entries already.
struct Provenance {
  static constexpr uint8_t kNoStream = 0xFF;
  uint8_t stream = kNoStream;
  Progress progress;
  uint64_t dropped_in_all = 0;  // over all streams, when it was written
};

std::string EncodeRecord(const LogEntry& entry, const Provenance& provenance);

// Nothing when the bytes are no such record. The sequence number is the ring's.
std::optional<Provenance> DecodeProvenance(std::string_view record);
std::optional<LogEntry> DecodeEntry(std::string_view record, uint64_t sequence);

}  // namespace plugind::observe
