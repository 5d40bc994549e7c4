#include "daemon/tls/session.h"

#include <openssl/x509v3.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "daemon/tls/openssl.h"

namespace plugind::tls {
namespace {

constexpr char kServerName[] = "localhost";
constexpr size_t kRecord = SSL3_RT_MAX_PLAIN_LENGTH;  // 16 KiB of plain bytes
constexpr size_t kSealOverhead = size_t{1} * 1024;    // of the records of one Send

}  // namespace

// Where OpenSSL reads and writes: straight from the socket, and into sealed_, so that many records
// leave with one system call.
struct SocketBio {
  static Session& Of(BIO* bio) { return *static_cast<Session*>(BIO_get_data(bio)); }

  static int Read(BIO* bio, char* data, int size) {
    Session& session = Of(bio);
    BIO_clear_retry_flags(bio);
    while (true) {
      const ssize_t got = ::recv(session.fd_, data, static_cast<size_t>(size), MSG_DONTWAIT);
      session.ended_ = got == 0;
      if (got >= 0) return static_cast<int>(got);
      if (errno == EINTR) continue;
      if (errno == EAGAIN) {
        BIO_set_retry_read(bio);
      } else {
        session.broken_ = errno;
      }
      return -1;
    }
  }

  static int Write(BIO* bio, const char* data, int size) {
    Of(bio).sealed_.append(data, static_cast<size_t>(size));
    return size;
  }

  // OpenSSL asks for its flights to go out, which the session sees to; and whether it is the end.
  static long Control(BIO* bio, int command, long, void*) {
    if (command == BIO_CTRL_EOF) return Of(bio).ended_ ? 1 : 0;
    return command == BIO_CTRL_FLUSH ? 1 : 0;
  }

  // One method for all sessions.
  static const BIO_METHOD* Method() {
    static const BIO_METHOD* const method = [] {
      BIO_METHOD* made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "plugind");
      BIO_meth_set_read(made, Read);
      BIO_meth_set_write(made, Write);
      BIO_meth_set_ctrl(made, Control);
      return made;
    }();
    return method;
  }
};

Session::Session(ClientPtr client, int fd) : client_(std::move(client)), fd_(fd) {
  ERR_clear_error();
  ssl_ = SSL_new(client_->context());
  BIO* const bio = BIO_new(SocketBio::Method());
  if (ssl_ == nullptr || bio == nullptr || SSL_set1_host(ssl_, kServerName) != 1 ||
      SSL_set_tlsext_host_name(ssl_, kServerName) != 1) {
    BIO_free(bio);
    trouble_ = "cannot begin TLS: " + TakeError();
    return;
  }
  BIO_set_data(bio, this);
  BIO_set_init(bio, 1);
  SSL_set_bio(ssl_, bio, bio);
  SSL_set_connect_state(ssl_);
}

Session::~Session() { SSL_free(ssl_); }

ssize_t Session::Receive(std::span<char> room) {
  if (!Secure()) return -1;
  size_t got = 0;
  while (got < room.size()) {
    ERR_clear_error();
    const auto size = static_cast<int>(std::min(room.size() - got, kRecord));
    const int read = SSL_read(ssl_, room.data() + got, size);
    if (read <= 0) {
      // What came before an end is handed over first; the end is there the next time, too.
      if (got > 0) break;
      return Fail(read);
    }
    got += static_cast<size_t>(read);
    if (SSL_has_pending(ssl_) == 0) break;
  }
  if (blocked() && !Flush() && errno != EAGAIN) return -1;
  return static_cast<ssize_t>(got);
}

ssize_t Session::Send(std::span<const iovec> pieces) {
  if (!Secure() || !Flush()) return -1;
  // Small frames share a record with what follows them.
  std::array<char, kRecord> record;
  size_t filled = 0;
  size_t taken = 0;
  size_t offered = 0;
  for (const iovec& piece : pieces) offered += piece.iov_len;
  if (offered > kRecord) sealed_.reserve(kSealAtOnce + kSealOverhead);
  for (const iovec& piece : pieces) {
    const char* data = static_cast<const char*>(piece.iov_base);
    size_t left = std::min(piece.iov_len, kSealAtOnce - taken);
    while (left > 0) {
      if (filled == 0 && left >= kRecord) {
        if (!Seal(data, kRecord)) return -1;
        data += kRecord;
        left -= kRecord;
        taken += kRecord;
        continue;
      }
      const size_t part = std::min(left, kRecord - filled);
      std::memcpy(record.data() + filled, data, part);
      filled += part;
      data += part;
      left -= part;
      taken += part;
      if (filled == kRecord && !Seal(record.data(), std::exchange(filled, 0))) return -1;
    }
    if (taken == kSealAtOnce) break;
  }
  if (filled > 0 && !Seal(record.data(), filled)) return -1;
  if (!Flush() && errno != EAGAIN) return -1;
  return static_cast<ssize_t>(taken);
}

bool Session::Seal(const char* data, size_t size) {
  ERR_clear_error();
  const int written = SSL_write(ssl_, data, static_cast<int>(size));
  if (written > 0) return true;
  if (Fail(written) == 0) errno = EPIPE;
  return false;
}

bool Session::Flush() {
  while (sent_ < sealed_.size()) {
    const ssize_t sent =
        ::send(fd_, sealed_.data() + sent_, sealed_.size() - sent_, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0) return false;
    sent_ += static_cast<size_t>(sent);
  }
  // Idle connections are many, and keep nothing for the next time.
  if (sealed_.capacity() > 2 * kRecord) sealed_ = std::string();
  sealed_.clear();
  sent_ = 0;
  return true;
}

bool Session::Secure() {
  if (secured_) return true;
  if (!trouble_.empty()) {
    errno = EPROTO;
    return false;
  }
  ERR_clear_error();
  const int done = SSL_do_handshake(ssl_);
  const bool sent = Flush() || errno == EAGAIN;
  const int send_error = errno;
  if (done == 1) {
    secured_ = true;
    return true;
  }
  const ssize_t failed = Fail(done);
  if (failed == 0) {
    trouble_ = "the plugin closed the connection during the TLS handshake";
    errno = EPROTO;
  } else if (errno == EAGAIN && !sent) {
    errno = send_error;
  }
  return false;
}

ssize_t Session::Fail(int result) {
  switch (SSL_get_error(ssl_, result)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
      errno = EAGAIN;
      return -1;
    case SSL_ERROR_ZERO_RETURN:
      errno = 0;
      return 0;
    default:
      break;
  }
  if (broken_ != 0) {
    errno = broken_;
    return -1;
  }
  if (!trouble_.empty()) {
    errno = EPROTO;
    return -1;
  }
  const long verdict = SSL_get_verify_result(ssl_);
  if (!secured_ && verdict != X509_V_OK) {
    impostor_ = true;
    trouble_ = std::string(
                   "the certificate that the plugin shows is not the one of its "
                   "handshake for \"localhost\": ") +
               X509_verify_cert_error_string(verdict);
    ERR_clear_error();
  } else {
    trouble_ = "TLS with the plugin failed: " + TakeError();
  }
  errno = EPROTO;
  return -1;
}

}  // namespace plugind::tls
