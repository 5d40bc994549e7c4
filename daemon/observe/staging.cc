#include "daemon/observe/staging.h"

#include <algorithm>
#include <cstring>

#include "daemon/base/failpoint.h"
#include "daemon/base/status.h"
#include "daemon/observe/shared_memory.h"

namespace plugind::observe {
namespace {

constexpr uint64_t kFarthest = uint64_t{1} << 62;

absl::Status Damaged(std::string_view how) {
  return Error(absl::StatusCode::kDataLoss, "the kept staging area is damaged: {}", how);
}

// The place of `offset` in the pattern is its place in the secret.
char PatternAt(const Staging::Secret& secret, uint64_t offset) {
  return secret[offset % secret.size()];
}

}  // namespace

Staging::Staging(Control& control, Bytes bytes, const Secret& secret)
    : control_(control), bytes_(bytes), secret_(secret) {
  static_assert((kCapacity & (kCapacity - 1)) == 0, "offsets wrap around 2^64");
}

void Staging::MakePattern(Secret& secret) {
  for (char& c : secret) c = static_cast<char>(static_cast<uint8_t>(c) | 0xF8U);
}

absl::Status Staging::Recover() {
  if (control_.selected > 1) return Damaged("no progress is selected");
  progress_ = control_.progress[control_.selected];
  const uint64_t end = control_.end;
  const uint64_t intent = control_.intent_end;
  if (end > kFarthest || control_.base > end) return Damaged("its end is misplaced");
  if (progress_.consumed < control_.base || progress_.consumed > end ||
      end - progress_.consumed > kCapacity) {
    return Damaged("more is pending than it can hold");
  }
  if (progress_.delivered > end || progress_.dropped > end ||
      progress_.delivered + progress_.dropped != progress_.consumed) {
    return Damaged("its counters disagree");
  }
  if (intent <= end) return absl::OkStatus();
  if (intent - end > free_space()) return Damaged("a read would not have fitted");

  // The longest part after which all is still pattern.
  size_t came = intent - end;
  while (came > 0 && bytes_[Place(end + came - 1)] == PatternAt(secret_, end + came - 1)) --came;
  EndFill(came);
  return absl::OkStatus();
}

size_t Staging::free_space() const { return kCapacity - static_cast<size_t>(pending()); }

std::array<iovec, 2> Staging::Range(uint64_t offset, size_t size) const {
  const size_t begin = Place(offset);
  const size_t first = std::min(size, kCapacity - begin);
  return {iovec{bytes_.data() + begin, first}, iovec{bytes_.data(), size - first}};
}

std::array<iovec, 2> Staging::BeginFill(size_t size) {
  size = std::min(size, free_space());
  // With nothing pending, begin at the front again: a plugin that prints little touches one page.
  if (pending() == 0) Publish(control_.base, control_.end);
  const auto range = Range(control_.end, size);
  uint64_t offset = control_.end;
  for (const iovec& piece : range) {
    auto* to = static_cast<char*>(piece.iov_base);
    for (size_t left = piece.iov_len; left > 0;) {
      const size_t from = offset % secret_.size();
      const size_t run = std::min(left, secret_.size() - from);
      std::memcpy(to, secret_.data() + from, run);
      to += run;
      offset += run;
      left -= run;
    }
  }
  Publish(control_.intent_end, control_.end + size);
  Failpoint("log-read-intended");
  return range;
}

void Staging::EndFill(size_t size) {
  Failpoint("log-read-done");
  const uint64_t end = control_.end + size;
  // A read that brought less than it might have leaves an intent that says more; that must go
  // first.
  if (control_.intent_end != end) Publish(control_.intent_end, end);
  Publish(control_.end, end);
}

void Staging::Append(std::string_view bytes) {
  size_t copied = 0;
  for (const iovec& piece : BeginFill(bytes.size())) {
    std::memcpy(piece.iov_base, bytes.data() + copied, piece.iov_len);
    copied += piece.iov_len;
  }
  EndFill(copied);
}

std::string_view Staging::Pending(size_t limit, std::string& scratch) const {
  const size_t size = std::min<size_t>(limit, pending());
  const auto range = Range(progress_.consumed, size);
  if (range[1].iov_len == 0) return {static_cast<const char*>(range[0].iov_base), size};
  scratch.clear();
  for (const iovec& piece : range) {
    scratch.append(static_cast<const char*>(piece.iov_base), piece.iov_len);
  }
  return scratch;
}

void Staging::Commit() {
  const uint64_t other = 1 - control_.selected;
  control_.progress[other] = progress_;
  Publish(control_.selected, other);
}

}  // namespace plugind::observe
