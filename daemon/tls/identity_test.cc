#include "daemon/tls/identity.h"

#include <gtest/gtest.h>
#include <openssl/x509v3.h>

#include <string>

#include "daemon/tls/openssl.h"
#include "daemon/tls/testing/server.h"

namespace plugind::tls {
namespace {

Identity Made(WallTime now = SystemClock().WallNow()) {
  std::string error;
  auto identity = MakeIdentity(now, &error);
  EXPECT_TRUE(identity) << error;
  return identity.value_or(Identity());
}

TEST(IdentityTest, IsWhatGoPluginWantsOfAHost) {
  const Identity identity = Made();
  const CertificatePtr certificate = ReadPemCertificate(identity.certificate);
  ASSERT_NE(certificate, nullptr);
  EXPECT_EQ(X509_check_host(certificate.get(), "localhost", 0, 0, nullptr), 1);
  EXPECT_EQ(X509_check_purpose(certificate.get(), X509_PURPOSE_SSL_CLIENT, 0), 1);
  EXPECT_EQ(X509_check_purpose(certificate.get(), X509_PURPOSE_SSL_SERVER, 0), 1);
  EXPECT_EQ(X509_check_ca(certificate.get()), 1);
  EXPECT_EQ(X509_self_signed(certificate.get(), 1), 1);
  EXPECT_EQ(EVP_PKEY_get_bits(X509_get0_pubkey(certificate.get())), 256);
}

TEST(IdentityTest, ItsKeyIsItsCertificates) {
  const Identity identity = Made();
  const CertificatePtr certificate = ReadPemCertificate(identity.certificate);
  const KeyPtr key = ReadPemKey(identity.key);
  ASSERT_TRUE(certificate != nullptr && key != nullptr);
  EXPECT_EQ(X509_check_private_key(certificate.get(), key.get()), 1);
}

TEST(IdentityTest, HoldsForYearsAlsoWhenTheClockIsSetBackByAnHour) {
  const WallTime now{std::chrono::hours(24 * 365 * 50)};
  const CertificatePtr certificate = ReadPemCertificate(Made(now).certificate);
  const auto seconds = [&](WallTime at) {
    return std::chrono::system_clock::to_time_t(
        std::chrono::time_point_cast<std::chrono::system_clock::duration>(at));
  };
  time_t earlier = seconds(now - std::chrono::hours(1));
  time_t later = seconds(now + std::chrono::hours(24 * 365 * 10));
  EXPECT_LT(X509_cmp_time(X509_get0_notBefore(certificate.get()), &earlier), 0);
  EXPECT_GT(X509_cmp_time(X509_get0_notAfter(certificate.get()), &later), 0);
}

TEST(IdentityTest, NoTwoAreTheSame) {
  const Identity one = Made();
  const Identity other = Made();
  EXPECT_NE(one.certificate, other.certificate);
  EXPECT_NE(one.key, other.key);
}

TEST(IdentityTest, TellsACertificateFromAnythingElse) {
  const std::string der = testing::DerOf(Made());
  EXPECT_TRUE(IsCertificate(der));
  EXPECT_FALSE(IsCertificate(der.substr(0, der.size() - 1)));
  EXPECT_FALSE(IsCertificate(der + "x"));
  EXPECT_FALSE(IsCertificate(""));
  EXPECT_FALSE(IsCertificate(std::string("\x30\x03\x02\x01\x01", 5)));  // a sequence of a number
}

}  // namespace
}  // namespace plugind::tls
