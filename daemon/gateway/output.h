// What waits to be written to one socket: small frames gathered in a buffer, and pieces of bodies
// by reference, so that a large message passes from one socket to the other without a copy in
// between.
#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/tls/session.h"

namespace plugind::gateway {

class Output {
 public:
  enum class Result {
    kDone,
    kBlocked,
    kFailed
  };

  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  // Of all bytes that the socket has taken.
  uint64_t written() const { return written_; }
  // The position of the next byte that is added.
  uint64_t end() const { return written_ + size_; }

  void Copy(std::string_view bytes);
  // `bytes` stay valid until written or Settle() is called.
  void Refer(std::string_view bytes);
  // As much as the socket takes. kFailed: errno tells.
  Result WriteTo(int fd);
  // The same by way of TLS, which counts as taken what it has sealed. kBlocked with nothing sealed:
  // its handshake waits for the peer.
  Result WriteTo(tls::Session& session);
  // Copies what is referred to.
  void Settle();
  // As if a socket had taken all of it.
  void Discard() { Drop(size_); }

 private:
  // Of `data`, or, when null, of the next `size` bytes of buffer_.
  struct Segment {
    const char* data;
    size_t size;
  };
  // The next pieces, at most as many as `vectors` holds. Returns how many bytes they are.
  size_t Gather(std::span<iovec>* vectors) const;
  void Drop(size_t bytes);

  std::string buffer_;
  size_t buffer_at_ = 0;  // what of it is gone
  std::vector<Segment> segments_;
  size_t front_ = 0;
  size_t size_ = 0;
  uint64_t written_ = 0;
};

}  // namespace plugind::gateway
