#include "daemon/observe/shared_ring.h"

#include <algorithm>
#include <cstring>

#include "daemon/base/failpoint.h"
#include "daemon/base/status.h"

namespace plugind::observe {

struct SharedRing::Header {
  uint64_t magic;
  uint32_t layout;
  uint32_t kind;
  uint64_t capacity;
  uint64_t owner_bytes;
  uint64_t tail;  // published
  uint64_t head;  // published
};

struct SharedRing::RecordHeader {
  uint64_t size;
  uint64_t sequence;
};

namespace {

constexpr uint64_t kMagic = 0x676e69722d647067;
constexpr uint32_t kLayout = 1;
constexpr size_t kPage = 4096;
constexpr size_t kHeaderBytes = 64;
// Far beyond what a log ever reaches, and small enough that no sum below overflows.
constexpr uint64_t kFarthest = uint64_t{1} << 62;

constexpr size_t RoundUp(size_t size, size_t unit) { return (size + unit - 1) / unit * unit; }
constexpr size_t RecordsOffset(size_t owner_bytes) {
  return RoundUp(kHeaderBytes + owner_bytes, kPage);
}

absl::Status Damaged(std::string_view how) {
  return Error(absl::StatusCode::kDataLoss, "the kept ring is damaged: {}", how);
}

}  // namespace

SharedRing::SharedRing(SharedMemory memory) : memory_(std::move(memory)) {
  static_assert(sizeof(Header) <= kHeaderBytes);
}

SharedRing::Header& SharedRing::header() const {
  return *reinterpret_cast<Header*>(memory_.bytes().data());
}

std::span<std::byte> SharedRing::owner_bytes() const {
  return memory_.bytes().subspan(kHeaderBytes, header().owner_bytes);
}

size_t SharedRing::max_payload() const { return records_.size() / 2 - sizeof(RecordHeader); }

absl::StatusOr<SharedRing> SharedRing::Create(const std::string& name, Kind kind, size_t capacity,
                                              size_t owner_bytes) {
  capacity = RoundUp(std::max<size_t>(capacity, 1), kPage);
  const size_t offset = RecordsOffset(owner_bytes);
  ASSIGN_OR_RETURN(SharedMemory memory, SharedMemory::Create(name, offset + capacity));
  SharedRing ring(std::move(memory));
  ring.records_ = ring.memory_.bytes().subspan(offset);
  ring.header() = {kMagic, kLayout, static_cast<uint32_t>(kind), capacity, owner_bytes, 0, 0};
  return ring;
}

absl::StatusOr<SharedRing> SharedRing::Reopen(UniqueFd memory_fd, Kind kind, size_t owner_bytes) {
  ASSIGN_OR_RETURN(SharedMemory memory, SharedMemory::Reopen(std::move(memory_fd)));
  const size_t offset = RecordsOffset(owner_bytes);
  if (memory.bytes().size() <= offset) return Damaged("it is too small");
  SharedRing ring(std::move(memory));
  const Header& header = ring.header();
  if (header.magic != kMagic || header.layout != kLayout) return Damaged("unknown layout");
  if (header.kind != static_cast<uint32_t>(kind)) return Damaged("it is of another kind");
  if (header.owner_bytes != owner_bytes) return Damaged("unknown owner");
  ring.records_ = ring.memory_.bytes().subspan(offset);
  if (header.capacity != ring.records_.size()) return Damaged("its capacity is not its size");
  RETURN_IF_ERROR(ring.Index());
  return ring;
}

// Walks the records from tail to head, checking each before stepping over it.
absl::Status SharedRing::Index() {
  const uint64_t tail = header().tail;
  head_ = header().head;
  if (head_ > kFarthest || tail > head_ || head_ - tail > records_.size()) {
    return Damaged("tail and head disagree");
  }
  if (tail % 8 != 0 || head_ % 8 != 0) return Damaged("tail or head is misplaced");
  if (tail == head_ && head_ != 0) return Damaged("the newest record is missing");
  for (uint64_t at = tail; at < head_;) {
    RecordHeader record;
    if (head_ - at < sizeof record) return Damaged("a record is cut");
    CopyOut(at, &record, sizeof record);
    if (record.size > max_payload() || RoundUp(sizeof record + record.size, 8) > head_ - at) {
      return Damaged("a record reaches past the head");
    }
    if (positions_.empty() ? record.sequence == 0 || record.sequence > kFarthest
                           : record.sequence != next_sequence_) {
      return Damaged("the numbers have a gap");
    }
    positions_.push_back(at);
    next_sequence_ = record.sequence + 1;
    at += RoundUp(sizeof record + record.size, 8);
  }
  // No more records can be kept than were ever written.
  if (positions_.size() >= next_sequence_) return Damaged("the numbers do not begin at 1");
  return absl::OkStatus();
}

uint64_t SharedRing::Append(std::string_view payload) {
  payload = payload.substr(0, max_payload());
  const RecordHeader record = {payload.size(), next_sequence_};
  const size_t size = RoundUp(sizeof record + payload.size(), 8);

  const uint64_t oldest = positions_.empty() ? head_ : positions_.front();
  uint64_t tail = oldest;
  while (head_ + size - tail > records_.size()) {
    positions_.pop_front();
    tail = positions_.front();  // there is one: the newest record and the new one fit together
  }
  if (tail != oldest) Publish(header().tail, tail);
  Failpoint("ring-evicted");

  CopyIn(head_, &record, sizeof record);
  CopyIn(head_ + sizeof record, payload.data(), payload.size());
  Failpoint("ring-copied");

  positions_.push_back(head_);
  head_ += size;
  Publish(header().head, head_);
  return next_sequence_++;
}

std::string_view SharedRing::Get(uint64_t sequence, std::string& scratch) const {
  if (sequence < first_sequence() || sequence >= next_sequence_) return {};
  const uint64_t at = positions_[sequence - first_sequence()];
  RecordHeader record;
  CopyOut(at, &record, sizeof record);
  const size_t size = std::min<size_t>(record.size, max_payload());
  const size_t begin = (at + sizeof record) % records_.size();
  if (size <= records_.size() - begin) {
    return {reinterpret_cast<const char*>(records_.data() + begin), size};
  }
  scratch.resize(size);
  CopyOut(at + sizeof record, scratch.data(), size);
  return scratch;
}

void SharedRing::CopyIn(uint64_t position, const void* from, size_t size) {
  const size_t begin = position % records_.size();
  const size_t first = std::min(size, records_.size() - begin);
  const auto* const bytes = static_cast<const std::byte*>(from);
  std::copy_n(bytes, first, records_.data() + begin);
  std::copy_n(bytes + first, size - first, records_.data());
}

void SharedRing::CopyOut(uint64_t position, void* to, size_t size) const {
  const size_t begin = position % records_.size();
  const size_t first = std::min(size, records_.size() - begin);
  auto* const bytes = static_cast<std::byte*>(to);
  std::copy_n(records_.data() + begin, first, bytes);
  std::copy_n(records_.data(), size - first, bytes + first);
}

}  // namespace plugind::observe
