#include "daemon/tls/identity.h"

#include <openssl/bn.h>
#include <openssl/x509v3.h>

#include "daemon/tls/openssl.h"

namespace plugind::tls {
namespace {

// go-plugin's certificates begin 30 s before now. A plugin compares that with its own clock at each
// new connection, and a clock that somebody sets back must not cut a running plugin off.
constexpr auto kBefore = std::chrono::hours(24);
constexpr auto kAfter = std::chrono::hours(262'980);  // as go-plugin's: 30 years
constexpr int kSerialBits = 128;

bool SetTime(ASN1_TIME* field, WallTime at) {
  return ASN1_TIME_set(
             field, std::chrono::system_clock::to_time_t(
                        std::chrono::time_point_cast<std::chrono::system_clock::duration>(at))) !=
         nullptr;
}

bool SetSerial(X509* certificate) {
  const std::unique_ptr<BIGNUM, Freed<BN_free>> serial(BN_new());
  return serial != nullptr &&
         BN_rand(serial.get(), kSerialBits, BN_RAND_TOP_ANY, BN_RAND_BOTTOM_ANY) == 1 &&
         BN_to_ASN1_INTEGER(serial.get(), X509_get_serialNumber(certificate)) != nullptr;
}

bool SetName(X509* certificate) {
  X509_NAME* const name = X509_get_subject_name(certificate);
  const auto add = [name](const char* field, const char* value) {
    return X509_NAME_add_entry_by_txt(name, field, MBSTRING_ASC,
                                      reinterpret_cast<const unsigned char*>(value), -1, -1,
                                      0) == 1;
  };
  return add("O", "plugind") && add("CN", "localhost") &&
         X509_set_issuer_name(certificate, name) == 1;
}

bool Extend(X509* certificate, int what, const char* value) {
  const std::unique_ptr<X509_EXTENSION, Freed<X509_EXTENSION_free>> extension(
      X509V3_EXT_conf_nid(nullptr, nullptr, what, value));
  return extension != nullptr && X509_add_ext(certificate, extension.get(), -1) == 1;
}

bool Fill(X509* certificate, EVP_PKEY* key, WallTime now) {
  return X509_set_version(certificate, X509_VERSION_3) == 1 && SetSerial(certificate) &&
         SetTime(X509_getm_notBefore(certificate), now - kBefore) &&
         SetTime(X509_getm_notAfter(certificate), now + kAfter) && SetName(certificate) &&
         X509_set_pubkey(certificate, key) == 1 &&
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
  return size > 0 ? std::string(data, static_cast<size_t>(size)) : "";
}

}  // namespace

std::optional<Identity> MakeIdentity(WallTime now, std::string* error) {
  ERR_clear_error();
  const KeyPtr key(EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", "P-256"));
  const CertificatePtr certificate(X509_new());
  const BioPtr certificate_pem(BIO_new(BIO_s_mem()));
  const BioPtr key_pem(BIO_new(BIO_s_mem()));
  if (key == nullptr || certificate == nullptr || certificate_pem == nullptr ||
      key_pem == nullptr || !Fill(certificate.get(), key.get(), now) ||
      PEM_write_bio_X509(certificate_pem.get(), certificate.get()) != 1 ||
      PEM_write_bio_PrivateKey(key_pem.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr) !=
          1) {
    *error = "cannot make a certificate for it: " + TakeError();
    return std::nullopt;
  }
  return Identity{Contents(certificate_pem.get()), Contents(key_pem.get())};
}

bool IsCertificate(std::string_view der) {
  const bool is = ReadDerCertificate(der) != nullptr;
  ERR_clear_error();
  return is;
}

}  // namespace plugind::tls
