#include "daemon/tls/testing/server.h"

#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <utility>

#include "daemon/tls/openssl.h"

namespace plugind::tls::testing {
namespace {

using SslPtr = std::unique_ptr<SSL, Freed<SSL_free>>;

void Require(bool holds) {
  if (!holds) std::abort();
}

int TakeHttp2(SSL*, const unsigned char** out, unsigned char* out_size, const unsigned char* in,
              unsigned int in_size, void*) {
  static constexpr unsigned char kHttp2[] = {2, 'h', '2'};
  unsigned char* chosen = nullptr;
  const int result = SSL_select_next_proto(&chosen, out_size, kHttp2, sizeof kHttp2, in, in_size);
  *out = chosen;
  return result == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
}

ContextPtr MakeContext(const ServerTerms& terms) {
  ContextPtr context(SSL_CTX_new(TLS_server_method()));
  Require(context != nullptr);
  SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION);
  if (terms.only_tls_1_2) SSL_CTX_set_max_proto_version(context.get(), TLS1_2_VERSION);
  SSL_CTX_set_mode(context.get(),
                   SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_CTX_set_alpn_select_cb(context.get(), TakeHttp2, nullptr);
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  const CertificatePtr own = ReadPemCertificate(terms.identity.certificate);
  const KeyPtr key = ReadPemKey(terms.identity.key);
  const CertificatePtr trusted = ReadPemCertificate(terms.trusted);
  Require(SSL_CTX_use_certificate(context.get(), own.get()) == 1 &&
          SSL_CTX_use_PrivateKey(context.get(), key.get()) == 1 &&
          X509_STORE_add_cert(SSL_CTX_get_cert_store(context.get()), trusted.get()) == 1);
  return context;
}

}  // namespace

struct Server::Pump {
  Pump(const ServerTerms& terms, UniqueFd outside_fd, UniqueFd inside_fd)
      : context(MakeContext(terms)),
        ssl(SSL_new(context.get())),
        outside(std::move(outside_fd)),
        inside(std::move(inside_fd)),
        stop(::eventfd(0, EFD_CLOEXEC)) {
    SSL_set_fd(ssl.get(), outside.get());
    SSL_set_accept_state(ssl.get());
  }

  // False: one end has ended. Blocked on TLS is no end.
  bool Passed(int result) const {
    const int error = SSL_get_error(ssl.get(), result);
    return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE;
  }

  bool FromOutside() {
    std::array<char, 16384> buffer;
    while (to_inside.size() < buffer.size()) {
      ERR_clear_error();
      const int got = SSL_read(ssl.get(), buffer.data(), static_cast<int>(buffer.size()));
      if (got <= 0) return Passed(got);
      to_inside.append(buffer.data(), static_cast<size_t>(got));
    }
    return true;
  }

  bool ToInside() {
    while (!to_inside.empty()) {
      const ssize_t sent =
          ::send(inside.get(), to_inside.data(), to_inside.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
      if (sent < 0) return errno == EAGAIN;
      to_inside.erase(0, static_cast<size_t>(sent));
    }
    return true;
  }

  bool FromInside() {
    std::array<char, 16384> buffer;
    while (to_outside.size() < buffer.size()) {
      const ssize_t got = ::recv(inside.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
      if (got <= 0) return got < 0 && errno == EAGAIN;
      to_outside.append(buffer.data(), static_cast<size_t>(got));
    }
    return true;
  }

  bool ToOutside() {
    while (!to_outside.empty()) {
      ERR_clear_error();
      const int sent = SSL_write(ssl.get(), to_outside.data(), static_cast<int>(to_outside.size()));
      if (sent <= 0) return Passed(sent);
      to_outside.erase(0, static_cast<size_t>(sent));
    }
    return true;
  }

  void Run() {
    // OpenSSL writes to its socket as if it were a file.
    sigset_t pipe;
    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    ::pthread_sigmask(SIG_BLOCK, &pipe, nullptr);
    bool stopped = false;
    while (!stopped) {
      if (!FromOutside() || !ToInside()) break;
      const bool ended = !FromInside();
      if (!ToOutside() || ended) break;
      const auto wanted = [](bool more, bool room) {
        return static_cast<short>((more ? POLLIN : 0) | (room ? POLLOUT : 0));
      };
      std::array<pollfd, 3> fds{{
          {outside.get(), wanted(to_inside.empty(), !to_outside.empty()), 0},
          {inside.get(), wanted(to_outside.empty(), !to_inside.empty()), 0},
          {stop.get(), POLLIN, 0},
      }};
      ::poll(fds.data(), fds.size(), -1);
      stopped = fds[2].revents != 0;
    }
    ::shutdown(outside.get(), SHUT_RDWR);
    ::shutdown(inside.get(), SHUT_RDWR);
  }

  const ContextPtr context;
  const SslPtr ssl;
  const UniqueFd outside;
  const UniqueFd inside;
  const UniqueFd stop;
  std::string to_inside;
  std::string to_outside;
};

Server::Server(const ServerTerms& terms, UniqueFd outside, UniqueFd inside)
    : pump_(std::make_unique<Pump>(terms, std::move(outside), std::move(inside))),
      thread_([this] { pump_->Run(); }) {}

Server::~Server() {
  const uint64_t one = 1;
  Require(::write(pump_->stop.get(), &one, sizeof one) == sizeof one);
  thread_.join();
}

std::string DerOf(const Identity& identity) {
  const CertificatePtr certificate = ReadPemCertificate(identity.certificate);
  unsigned char* bytes = nullptr;
  const int size = i2d_X509(certificate.get(), &bytes);
  Require(size > 0);
  std::string der(reinterpret_cast<const char*>(bytes), static_cast<size_t>(size));
  OPENSSL_free(bytes);
  return der;
}

}  // namespace plugind::tls::testing
