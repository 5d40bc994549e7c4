#include "daemon/tls/client.h"

#include "daemon/tls/openssl.h"

namespace plugind::tls {
namespace {

constexpr size_t kReadAhead = size_t{64} * 1024;  // bytes that one recv may bring

bool Use(SSL_CTX* context, const Identity& identity) {
  const CertificatePtr certificate = ReadPemCertificate(identity.certificate);
  const KeyPtr key = ReadPemKey(identity.key);
  return certificate != nullptr && key != nullptr &&
         SSL_CTX_use_certificate(context, certificate.get()) == 1 &&
         SSL_CTX_use_PrivateKey(context, key.get()) == 1 && SSL_CTX_check_private_key(context) == 1;
}

// Nothing but `peer` is trusted. It came over a pipe that only this process of the plugin writes
// to, so what it says of its own time is not asked: a clock that was set back changes nothing.
bool Trust(SSL_CTX* context, std::string_view peer) {
  const CertificatePtr certificate = ReadDerCertificate(peer);
  X509_STORE* const store = SSL_CTX_get_cert_store(context);
  return certificate != nullptr && X509_STORE_add_cert(store, certificate.get()) == 1 &&
         X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN | X509_V_FLAG_NO_CHECK_TIME) == 1;
}

void TrustAny(SSL_CTX* context) {
  const auto verify = [](X509_STORE_CTX* store, void*) {
    X509_STORE_CTX_set_error(store, X509_V_OK);
    return 1;
  };
  SSL_CTX_set_cert_verify_callback(context, verify, nullptr);
}

bool Set(SSL_CTX* context) {
  constexpr unsigned char kHttp2[] = {2, 'h', '2'};
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  // HTTP/2 itself says where a stream ends, so that a connection cut short is noticed there.
  SSL_CTX_set_options(
      context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_IGNORE_UNEXPECTED_EOF);
  SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_read_ahead(context, 1);
  SSL_CTX_set_default_read_buffer_len(context, kReadAhead);
  return SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) == 1 &&
         SSL_CTX_set_alpn_protos(context, kHttp2, sizeof kHttp2) == 0;
}

ContextPtr ContextOf(const Identity& identity, std::string* error) {
  ERR_clear_error();
  ContextPtr context(SSL_CTX_new(TLS_client_method()));
  if (context == nullptr || !Set(context.get())) {
    *error = "cannot set TLS up: " + TakeError();
  } else if (!Use(context.get(), identity)) {
    *error = "plugind's own certificate for it is of no use: " + TakeError();
  } else {
    return context;
  }
  return nullptr;
}

}  // namespace

std::shared_ptr<const Client> Client::Make(const Identity& identity, std::string_view peer,
                                           std::string* error) {
  ContextPtr context = ContextOf(identity, error);
  if (context == nullptr) return nullptr;
  if (!Trust(context.get(), peer)) {
    *error = "the certificate of its handshake is of no use: " + TakeError();
    return nullptr;
  }
  return std::shared_ptr<const Client>(new Client(context.release(), std::string(peer)));
}

std::shared_ptr<const Client> Client::MakeForAnyPeer(const Identity& identity, std::string* error) {
  ContextPtr context = ContextOf(identity, error);
  if (context == nullptr) return nullptr;
  TrustAny(context.get());
  return std::shared_ptr<const Client>(new Client(context.release(), ""));
}

Client::~Client() { SSL_CTX_free(context_); }

}  // namespace plugind::tls
