#include "daemon/gateway/output.h"

#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cerrno>

namespace plugind::gateway {
namespace {

constexpr size_t kVectors = 64;  // of one sendmsg
// Below it a copy is cheaper than an entry in the kernel's list.
constexpr size_t kWorthReferring = 512;
constexpr size_t kWorthCompacting = size_t{64} * 1024;

}  // namespace

void Output::Copy(std::string_view bytes) {
  if (bytes.empty()) return;
  if (segments_.size() > front_ && segments_.back().data == nullptr) {
    segments_.back().size += bytes.size();
  } else {
    segments_.push_back({nullptr, bytes.size()});
  }
  buffer_.append(bytes);
  size_ += bytes.size();
}

void Output::Refer(std::string_view bytes) {
  if (bytes.size() < kWorthReferring) return Copy(bytes);
  segments_.push_back({bytes.data(), bytes.size()});
  size_ += bytes.size();
}

size_t Output::Gather(std::span<iovec>* vectors) const {
  size_t count = 0;
  size_t buffered = buffer_at_;
  size_t offered = 0;
  for (size_t i = front_; i < segments_.size() && count < vectors->size(); ++i) {
    const Segment& segment = segments_[i];
    const char* data = segment.data;
    if (data == nullptr) {
      data = buffer_.data() + buffered;
      buffered += segment.size;
    }
    (*vectors)[count++] = {const_cast<char*>(data), segment.size};
    offered += segment.size;
  }
  *vectors = vectors->first(count);
  return offered;
}

Output::Result Output::WriteTo(int fd) {
  while (size_ > 0) {
    std::array<iovec, kVectors> room;
    std::span<iovec> vectors = room;
    const size_t offered = Gather(&vectors);
    msghdr message{};
    message.msg_iov = vectors.data();
    message.msg_iovlen = vectors.size();
    const ssize_t sent = ::sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0) {
      if (errno == EINTR) continue;
      return errno == EAGAIN ? Result::kBlocked : Result::kFailed;
    }
    Drop(static_cast<size_t>(sent));
    if (static_cast<size_t>(sent) < offered) return Result::kBlocked;
  }
  return Result::kDone;
}

Output::Result Output::WriteTo(tls::Session& session) {
  do {
    std::array<iovec, kVectors> room;
    std::span<iovec> vectors = room;
    Gather(&vectors);
    const ssize_t sent = session.Send(vectors);
    if (sent < 0) return errno == EAGAIN ? Result::kBlocked : Result::kFailed;
    Drop(static_cast<size_t>(sent));
    if (session.blocked()) return Result::kBlocked;
  } while (size_ > 0);
  return Result::kDone;
}

void Output::Drop(size_t bytes) {
  written_ += bytes;
  size_ -= bytes;
  while (bytes > 0) {
    Segment& segment = segments_[front_];
    const size_t part = std::min(bytes, segment.size);
    if (segment.data == nullptr) {
      buffer_at_ += part;
    } else {
      segment.data += part;
    }
    segment.size -= part;
    bytes -= part;
    if (segment.size == 0) ++front_;
  }
  if (size_ == 0) {
    buffer_.clear();
    buffer_at_ = 0;
    segments_.clear();
    front_ = 0;
  } else if (buffer_at_ > kWorthCompacting && buffer_at_ > buffer_.size() / 2) {
    // A socket that never quite drains must not make the buffer grow for ever.
    buffer_.erase(0, buffer_at_);
    buffer_at_ = 0;
    segments_.erase(segments_.begin(), segments_.begin() + static_cast<ptrdiff_t>(front_));
    front_ = 0;
  }
}

void Output::Settle() {
  const bool refers =
      std::any_of(segments_.begin() + static_cast<ptrdiff_t>(front_), segments_.end(),
                  [](const Segment& segment) { return segment.data != nullptr; });
  if (!refers) return;
  std::string all;
  all.reserve(size_);
  size_t buffered = buffer_at_;
  for (size_t i = front_; i < segments_.size(); ++i) {
    const Segment& segment = segments_[i];
    if (segment.data == nullptr) {
      all.append(buffer_, buffered, segment.size);
      buffered += segment.size;
    } else {
      all.append(segment.data, segment.size);
    }
  }
  buffer_ = std::move(all);
  buffer_at_ = 0;
  segments_.assign(1, {nullptr, size_});
  front_ = 0;
}

}  // namespace plugind::gateway
