#include "daemon/observe/log_memory.h"

#include <sys/random.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <span>
#include <string_view>
#include <utility>

#include "daemon/base/status.h"
#include "daemon/observe/shared_memory.h"
#include "daemon/observe/text.h"

namespace plugind::observe {
namespace {

constexpr size_t kMaxInstance = 64;

// The owner's bytes of the ring: one page together with the ring's header, then the staging areas.
constexpr size_t kHeaderBytes = 4096 - 64;
constexpr size_t kOwnerBytes = kHeaderBytes + kStreams.size() * Staging::kCapacity;

}  // namespace

struct LogMemory::Header {
  Staging::Secret secret;
  std::array<char, kMaxInstance> instance;
  uint64_t instance_size;
  uint64_t discarded;  // published
  uint64_t accounted;  // published: the progress of every entry before this number is committed
  std::array<Staging::Control, kStreams.size()> controls;
};

LogMemory::LogMemory(SharedRing ring)
    : ring_(std::move(ring)),
      header_(*reinterpret_cast<Header*>(ring_.owner_bytes().data())),
      staging_{MakeStaging(kStdoutPipe), MakeStaging(kStderrPipe), MakeStaging(kStdoutChunks),
               MakeStaging(kStderrChunks)} {
  static_assert(sizeof(Header) <= kHeaderBytes);
}

Staging LogMemory::MakeStaging(LogStream stream) {
  std::byte* const first = ring_.owner_bytes().data() + kHeaderBytes + stream * Staging::kCapacity;
  return {header_.controls[stream],
          Staging::Bytes(reinterpret_cast<char*>(first), Staging::kCapacity), header_.secret};
}

absl::StatusOr<std::unique_ptr<LogMemory>> LogMemory::Create(const std::string& plugin,
                                                             size_t capacity) {
  const std::string name = "plugind-log:" + plugin.substr(0, 200);
  ASSIGN_OR_RETURN(SharedRing ring,
                   SharedRing::Create(name, SharedRing::Kind::kPluginLog, capacity, kOwnerBytes));
  std::unique_ptr<LogMemory> memory(new LogMemory(std::move(ring)));
  Staging::Secret& secret = memory->header_.secret;
  if (::getrandom(secret.data(), secret.size(), 0) != static_cast<ssize_t>(secret.size())) {
    return ErrnoError(errno, "getrandom");
  }
  Staging::MakePattern(secret);
  return memory;
}

absl::StatusOr<std::unique_ptr<LogMemory>> LogMemory::Reopen(UniqueFd fd) {
  ASSIGN_OR_RETURN(SharedRing ring,
                   SharedRing::Reopen(std::move(fd), SharedRing::Kind::kPluginLog, kOwnerBytes));
  std::unique_ptr<LogMemory> memory(new LogMemory(std::move(ring)));
  RETURN_IF_ERROR(memory->Recover());
  return memory;
}

absl::Status LogMemory::Recover() {
  if (header_.instance_size > kMaxInstance) {
    return Error(absl::StatusCode::kDataLoss, "the kept instance is damaged");
  }
  instance_ = Sanitized({header_.instance.data(), header_.instance_size});
  for (const LogStream stream : kStreams) {
    Staging& staged = staging_[stream];
    RETURN_IF_ERROR(staged.Recover());
    // Entries that got into the ring just before the death, without the progress being committed.
    const auto newest = NewestUnaccounted(stream);
    if (!newest || newest->progress.consumed <= staged.progress().consumed) continue;
    const Progress& progress = newest->progress;
    if (progress.consumed > staged.end() || progress.delivered > progress.consumed ||
        progress.dropped != progress.consumed - progress.delivered) {
      return Error(absl::StatusCode::kDataLoss, "the ring and the staging area disagree");
    }
    staged.progress() = progress;
    staged.Commit();
  }
  if (ring_.next_sequence() > 1) {
    std::string wrapped;
    const auto newest = DecodeProvenance(ring_.Get(ring_.next_sequence() - 1, wrapped));
    if (!newest || newest->dropped_in_all > dropped()) {
      return Error(absl::StatusCode::kDataLoss, "the newest entry is damaged");
    }
    dropped_reported_ = newest->dropped_in_all;
  }
  return absl::OkStatus();
}

std::optional<Provenance> LogMemory::NewestUnaccounted(LogStream stream) const {
  const uint64_t first = std::max(ring_.first_sequence(), header_.accounted);
  std::string wrapped;
  for (uint64_t i = ring_.next_sequence(); i-- > first;) {
    auto provenance = DecodeProvenance(ring_.Get(i, wrapped));
    if (provenance && provenance->stream == stream) return provenance;
  }
  return std::nullopt;
}

void LogMemory::SetInstance(std::string name) {
  instance_ = Sanitized(name.substr(0, Utf8Prefix(name, kMaxInstance)));
  if (std::string_view(header_.instance.data(), header_.instance_size) == name) return;
  header_.instance_size = std::min(name.size(), kMaxInstance);
  std::memcpy(header_.instance.data(), name.data(), header_.instance_size);
}

void LogMemory::Append(LogEntry entry, Provenance provenance) {
  provenance.dropped_in_all = dropped();
  entry.instance = instance_;
  entry.dropped_bytes = provenance.dropped_in_all - dropped_reported_;
  ring_.Append(EncodeRecord(entry, provenance));
  dropped_reported_ = provenance.dropped_in_all;
}

void LogMemory::Account(LogStream stream) {
  staging_[stream].Commit();
  Publish(header_.accounted, ring_.next_sequence());
}

void LogMemory::Discard(uint64_t bytes) { Publish(header_.discarded, header_.discarded + bytes); }

uint64_t LogMemory::discarded() const { return header_.discarded; }

uint64_t LogMemory::dropped() const {
  uint64_t dropped = header_.discarded;
  for (const Staging& stream : staging_) dropped += stream.progress().dropped;
  return dropped;
}

}  // namespace plugind::observe
