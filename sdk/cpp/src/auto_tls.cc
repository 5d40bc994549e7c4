#include "sdk/cpp/src/auto_tls.h"

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <vector>

#include "sdk/cpp/src/failure.h"

namespace plugind::sdk {
namespace {

constexpr int kSerialBits = 128;
// The host looks at the dates at every connection: a clock that is set back a little must not cut
// off a running plugin. In seconds.
constexpr long kBefore = 24L * 3600;
constexpr long kAfter = 30L * 365 * 24 * 3600;

template <auto Free>
struct Freed {
  template <typename T>
  void operator()(T* object) const {
    Free(object);
  }
};
using Key = std::unique_ptr<EVP_PKEY, Freed<EVP_PKEY_free>>;
using Certificate = std::unique_ptr<X509, Freed<X509_free>>;
using Bio = std::unique_ptr<BIO, Freed<BIO_free>>;

Failure OpenSslFailure(const std::string& what) {
  char text[256] = "unknown error";
  if (const unsigned long code = ERR_get_error(); code != 0) {
    ERR_error_string_n(code, text, sizeof(text));
  }
  ERR_clear_error();
  return Failure(what + ": " + text);
}

bool SetSerial(X509* certificate) {
  const std::unique_ptr<BIGNUM, Freed<BN_free>> serial(BN_new());
  return serial != nullptr &&
         BN_rand(serial.get(), kSerialBits, BN_RAND_TOP_ANY, BN_RAND_BOTTOM_ANY) == 1 &&
         BN_to_ASN1_INTEGER(serial.get(), X509_get_serialNumber(certificate)) != nullptr;
}

bool SetName(X509* certificate) {
  X509_NAME* name = X509_get_subject_name(certificate);
  const auto* host = reinterpret_cast<const unsigned char*>("localhost");
  return X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, host, -1, -1, 0) == 1 &&
         X509_set_issuer_name(certificate, name) == 1;
}

bool Extend(X509* certificate, int which, const char* value) {
  const std::unique_ptr<X509_EXTENSION, Freed<X509_EXTENSION_free>> extension(
      X509V3_EXT_conf_nid(nullptr, nullptr, which, value));
  return extension != nullptr && X509_add_ext(certificate, extension.get(), -1) == 1;
}

// As go-plugin has its own: a root that is its own leaf, for either side of a connection.
bool Fill(X509* certificate, EVP_PKEY* key) {
  return X509_set_version(certificate, X509_VERSION_3) == 1 && SetSerial(certificate) &&
         X509_gmtime_adj(X509_getm_notBefore(certificate), -kBefore) != nullptr &&
         X509_gmtime_adj(X509_getm_notAfter(certificate), kAfter) != nullptr &&
         SetName(certificate) && X509_set_pubkey(certificate, key) == 1 &&
         Extend(certificate, NID_basic_constraints, "critical,CA:TRUE") &&
         Extend(certificate, NID_key_usage,
                "critical,digitalSignature,keyEncipherment,keyAgreement,keyCertSign") &&
         Extend(certificate, NID_ext_key_usage, "clientAuth,serverAuth") &&
         Extend(certificate, NID_subject_alt_name, "DNS:localhost") &&
         X509_sign(certificate, key, EVP_sha256()) > 0;
}

std::string Contents(BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  return std::string(data, static_cast<size_t>(size));
}

std::string Base64Der(X509* certificate) {
  unsigned char* der = nullptr;
  const int size = i2d_X509(certificate, &der);
  if (size < 0) throw OpenSslFailure("encode a certificate");
  std::vector<unsigned char> text(static_cast<size_t>(size) / 3 * 4 + 5);
  EVP_EncodeBlock(text.data(), der, size);
  OPENSSL_free(der);
  std::string encoded(reinterpret_cast<const char*>(text.data()));
  encoded.erase(encoded.find_last_not_of('=') + 1);
  return encoded;
}

}  // namespace

ThrowAwayIdentity MakeThrowAwayIdentity() {
  const Key key(EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", "P-256"));
  const Certificate certificate(X509_new());
  const Bio certificate_text(BIO_new(BIO_s_mem()));
  const Bio key_text(BIO_new(BIO_s_mem()));
  if (key == nullptr || certificate == nullptr || certificate_text == nullptr ||
      key_text == nullptr || !Fill(certificate.get(), key.get()) ||
      PEM_write_bio_X509(certificate_text.get(), certificate.get()) != 1 ||
      PEM_write_bio_PrivateKey(key_text.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr) !=
          1) {
    throw OpenSslFailure("make a certificate for AutoMTLS");
  }
  return {Contents(certificate_text.get()), Contents(key_text.get()), Base64Der(certificate.get())};
}

std::shared_ptr<grpc::ServerCredentials> TrustOnly(const std::string& client_certificate,
                                                   const ThrowAwayIdentity& own) {
  const Bio text(
      BIO_new_mem_buf(client_certificate.data(), static_cast<int>(client_certificate.size())));
  const Certificate parsed(PEM_read_bio_X509(text.get(), nullptr, nullptr, nullptr));
  if (parsed == nullptr) {
    throw OpenSslFailure(
        "PLUGIN_CLIENT_CERT, by which the host asks for AutoMTLS, is no certificate");
  }
  grpc::SslServerCredentialsOptions options(
      GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
  options.pem_root_certs = client_certificate;
  options.pem_key_cert_pairs.push_back({own.key, own.certificate});
  return grpc::SslServerCredentials(options);
}

}  // namespace plugind::sdk
