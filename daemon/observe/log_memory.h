// What outlives plugind of one plugin's log, in one memfd that the keeper holds too: the ring of
// entries, and beside it the bytes of each stream that are not entries yet, and how far each stream
// has got. A successor goes on from it after `kill -9` at any instruction.
//
// The order of stores is in README.md. Owned by PluginLog. One thread.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "daemon/base/unique_fd.h"
#include "daemon/observe/log_entry.h"
#include "daemon/observe/log_record.h"
#include "daemon/observe/shared_ring.h"
#include "daemon/observe/staging.h"

namespace plugind::observe {

// The numbers are in the memory, and in every record of the ring. The chunks have staging areas of
// their own, because their lines and those from the pipes do not end at the same time.
enum LogStream : uint8_t {
  kStdoutPipe,
  kStderrPipe,
  kStdoutChunks,
  kStderrChunks,
};
inline constexpr std::array kPipes = {kStdoutPipe, kStderrPipe};
inline constexpr std::array kStreams = {kStdoutPipe, kStderrPipe, kStdoutChunks, kStderrChunks};

class LogMemory {
 public:
  // `capacity`: bytes for entries.
  static absl::StatusOr<std::unique_ptr<LogMemory>> Create(const std::string& plugin,
                                                           size_t capacity);
  // DATA_LOSS when it is no such memory or a damaged one.
  static absl::StatusOr<std::unique_ptr<LogMemory>> Reopen(UniqueFd fd);

  const SharedRing& ring() const { return ring_; }
  Staging& staging(LogStream stream) { return staging_[stream]; }

  // Whose output it is, sanitised and 64 bytes at most.
  const std::string& instance() const { return instance_; }
  void SetInstance(std::string name);

  // Gives the entry its instance, and what was dropped since the one before.
  void Append(LogEntry entry, Provenance provenance);
  // Commits the stream's progress, once all that it stands for is in the ring.
  void Account(LogStream stream);

  // Bytes left unread in pipes that were closed: they count as dropped.
  void Discard(uint64_t bytes);
  uint64_t discarded() const;
  uint64_t dropped() const;  // in all, those included

 private:
  struct Header;

  explicit LogMemory(SharedRing ring);
  Staging MakeStaging(LogStream stream);
  absl::Status Recover();
  std::optional<Provenance> NewestUnaccounted(LogStream stream) const;

  SharedRing ring_;
  Header& header_;
  std::array<Staging, kStreams.size()> staging_;
  std::string instance_;
  uint64_t dropped_reported_ = 0;  // in entries
};

}  // namespace plugind::observe
