// TLS on one connected, non-blocking socket, in place of recv(2) and sendmsg(2), for whoever runs
// an epoll loop. The handshake goes on inside of Receive and Send; nothing blocks.
//
// One thread at a time. Owned by a connection, together with the fd, which outlives it. Memory,
// none of it while nothing passes: a read buffer of 64 KiB, and what is sealed and not sent, ≤ 80
// KiB.
#pragma once

#include <sys/types.h>
#include <sys/uio.h>

#include <cstddef>
#include <memory>
#include <span>
#include <string>

#include "daemon/tls/client.h"

struct ssl_st;

namespace plugind::tls {

class Session {
 public:
  // The client outlives the session's use of it by itself.
  Session(ClientPtr client, int fd);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  // As recv(2): bytes, 0 at the end, or -1 with errno: EAGAIN, a socket's error, or EPROTO with
  // words in trouble(). Fewer than `room` does not mean that nothing is left: the next one tells.
  // What the handshake has to say in between goes out by itself.
  ssize_t Receive(std::span<char> room);

  // As sendmsg(2), of at most kSealAtOnce: bytes that were taken, some of which may still be here
  // (see blocked), or -1 with errno. EAGAIN while !blocked(): the handshake waits for the peer,
  // whose answer Receive takes in.
  ssize_t Send(std::span<const iovec> pieces);

  // Sends what is sealed. False, with errno, while something is left of it.
  bool Flush();

  // The handshake is done and the peer is who it should be. Whether it takes us for who we are,
  // TLS 1.3 tells with the first bytes that it sends.
  bool secured() const { return secured_; }
  // Sealed bytes wait for room in the socket: Flush or Send when there is some.
  bool blocked() const { return !sealed_.empty(); }
  // The peer showed another certificate than it should, or none for "localhost": trying again is of
  // no use.
  bool impostor() const { return impostor_; }
  // A sentence, once something has failed for good; empty before.
  const std::string& trouble() const { return trouble_; }

  static constexpr size_t kSealAtOnce = size_t{64} * 1024;

 private:
  friend struct SocketBio;

  // Does what can be done of the handshake. False, with errno, while it is not done.
  bool Secure();
  // What a call of OpenSSL that returned `result` and was no success comes to: 0 at the end, or -1
  // with errno.
  ssize_t Fail(int result);
  bool Seal(const char* data, size_t size);

  const ClientPtr client_;
  const int fd_;
  ssl_st* ssl_ = nullptr;
  std::string sealed_;
  size_t sent_ = 0;     // of sealed_
  int broken_ = 0;      // the errno with which the socket failed
  bool ended_ = false;  // the socket has
  bool secured_ = false;
  bool impostor_ = false;
  std::string trouble_;
};

}  // namespace plugind::tls
