#include "daemon/supervisor/handshake.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

namespace plugind::supervisor {
namespace {

constexpr char kDirectory[] = "/run/x/i/ab";

HandshakeTerms Terms() { return {{1, 5, 6}, /*allow_tcp=*/false, kDirectory}; }
HandshakeTerms TermsWithTcp() { return {{1, 5, 6}, /*allow_tcp=*/true, kDirectory}; }

struct Accepted {
  std::string_view what;
  std::string line;
  Handshake expected;
  bool tcp = false;
};

Handshake Unix(uint32_t version, std::string address) {
  return {version, Network::kUnix, std::move(address)};
}
Handshake Tcp(uint32_t version, std::string address) {
  return {version, Network::kTcp, std::move(address)};
}

// A path of exactly `size` bytes inside the directory.
std::string PathOf(size_t size) {
  std::string path = std::string(kDirectory) + "/";
  return path + std::string(size - path.size(), 's');
}

std::vector<Accepted> AcceptedLines() {
  const std::string socket = "/run/x/i/ab/p.sock";
  return {
      {"the floor", "1|1|unix|/run/x/i/ab/p.sock|grpc", Unix(1, socket)},
      {"Go's trailing empty certificate", "1|1|unix|/run/x/i/ab/p.sock|grpc|", Unix(1, socket)},
      {"both optional fields empty", "1|1|unix|/run/x/i/ab/p.sock|grpc||", Unix(1, socket)},
      {"newer Go, without multiplexing", "1|1|unix|/run/x/i/ab/p.sock|grpc||false",
       Unix(1, socket)},
      {"multiplexing as a digit", "1|1|unix|/run/x/i/ab/p.sock|grpc||0", Unix(1, socket)},
      {"a newline left on", "1|1|unix|/run/x/i/ab/p.sock|grpc\n", Unix(1, socket)},
      {"a carriage return before it", "1|1|unix|/run/x/i/ab/p.sock|grpc\r\n", Unix(1, socket)},
      {"a carriage return alone", "1|1|unix|/run/x/i/ab/p.sock|grpc\r", Unix(1, socket)},
      {"CRLF after an empty field", "1|1|unix|/run/x/i/ab/p.sock|grpc|\r\n", Unix(1, socket)},
      {"spaces around", "  1|1|unix|/run/x/i/ab/p.sock|grpc \t", Unix(1, socket)},
      {"an offered version that is not the first", "1|6|unix|/run/x/i/ab/p.sock|grpc",
       Unix(6, socket)},
      {"a number with a zero before it", "01|05|unix|/run/x/i/ab/p.sock|grpc", Unix(5, socket)},
      {"fields of a later go-plugin", "1|1|unix|/run/x/i/ab/p.sock|grpc||false|new",
       Unix(1, socket)},
      {"a socket in a folder of its own", "1|1|unix|/run/x/i/ab/d/p|grpc",
       Unix(1, "/run/x/i/ab/d/p")},
      {"a name that begins with dots", "1|1|unix|/run/x/i/ab/..p|grpc", Unix(1, "/run/x/i/ab/..p")},
      {"a name with spaces", "1|1|unix|/run/x/i/ab/a b|grpc", Unix(1, "/run/x/i/ab/a b")},
      {"a name in UTF-8", "1|1|unix|/run/x/i/ab/ünïx|grpc", Unix(1, "/run/x/i/ab/ünïx")},
      {"go-plugin's own name", "1|1|unix|/run/x/i/ab/plugin1234567890|grpc|",
       Unix(1, "/run/x/i/ab/plugin1234567890")},
      {"the longest path", "1|1|unix|" + PathOf(107) + "|grpc", Unix(1, PathOf(107))},
      {"IPv4 loopback", "1|1|tcp|127.0.0.1:1234|grpc", Tcp(1, "127.0.0.1:1234"), true},
      {"IPv6 loopback", "1|1|tcp|[::1]:1234|grpc", Tcp(1, "[::1]:1234"), true},
      {"localhost", "1|5|tcp|localhost:65535|grpc", Tcp(5, "localhost:65535"), true},
      {"the lowest port", "1|1|tcp|127.0.0.1:1|grpc", Tcp(1, "127.0.0.1:1"), true},
      {"unix where TCP would do", "1|1|unix|/run/x/i/ab/p.sock|grpc", Unix(1, socket), true},
  };
}

TEST(HandshakeTest, AcceptsWhatPluginsOfAllLanguagesPrint) {
  for (const Accepted& accepted : AcceptedLines()) {
    std::string error;
    const auto terms = accepted.tcp ? TermsWithTcp() : Terms();
    const auto handshake = ParseHandshake(accepted.line, terms, &error);
    ASSERT_TRUE(handshake) << accepted.what << ": " << error;
    EXPECT_EQ(*handshake, accepted.expected) << accepted.what << ": " << handshake->address;
    EXPECT_TRUE(LooksLikeHandshake(accepted.line)) << accepted.what;
  }
}

struct Refused {
  std::string line;
  std::string says;  // part of the reason, for the plugin's author
  bool tcp = false;
};

std::vector<Refused> RefusedLines() {
  using namespace std::string_literals;
  const std::string offered = "its configuration offers 1, 5, 6";
  const std::string outside = "lies outside the directory made for it, /run/x/i/ab";
  const std::string certificate = "certificate (field 6) is not base64 of a DER certificate";
  const std::string tls = "the plugin serves TLS";
  const std::string head = "1|1|unix|/run/x/i/ab/p.sock|grpc|";
  return {
      // Its shape.
      {"", "has 1 fields"},
      {"1", "has 1 fields; expected CORE|APP|NETWORK|ADDRESS|PROTOCOL"},
      {"1|1", "has 2 fields"},
      {"1|1|unix", "has 3 fields"},
      // Versions.
      {"2|1|unix|/run/x/i/ab/p.sock|grpc", "core protocol version 2; this host speaks 1"},
      {"0|1|unix|/run/x/i/ab/p.sock|grpc", "core protocol version 0"},
      {"|1|unix|/run/x/i/ab/p.sock|grpc", "core protocol version ; this host"},
      {"-1|1|unix|/run/x/i/ab/p.sock|grpc", "core protocol version -1"},
      {"1.0|1|unix|/run/x/i/ab/p.sock|grpc", "core protocol version 1.0"},
      {"99999999999|1|unix|/run/x/i/ab/p.sock|grpc", "core protocol version 99999999999"},
      {"1|2|unix|/run/x/i/ab/p.sock|grpc", "speaks protocol version 2; " + offered},
      {"1||unix|/run/x/i/ab/p.sock|grpc", "speaks protocol version ; " + offered},
      {"1|x|unix|/run/x/i/ab/p.sock|grpc", "speaks protocol version x; " + offered},
      {"1|1\x1b]|unix|/run/x/i/ab/p.sock|grpc", "speaks protocol version 1?]; " + offered},
      {"1\x07|1|unix|/run/x/i/ab/p.sock|grpc", "core protocol version 1?"},
      {"1|1 |unix|/run/x/i/ab/p.sock|grpc", "speaks protocol version 1 ; " + offered},
      {"1|4294967297|unix|/run/x/i/ab/p.sock|grpc",
       "speaks protocol version 4294967297; " + offered},
      {"1|" + std::string(500, '7') + "|unix|/run/x/i/ab/p.sock|grpc", "version 7777777"},
      // Network.
      {"1|1|udp|/run/x/i/ab/p.sock|grpc", "the network \"udp\"; expected unix or tcp"},
      {"1|1|UNIX|/run/x/i/ab/p.sock|grpc", "the network \"UNIX\""},
      {"1|1||/run/x/i/ab/p.sock|grpc", "the network \"\""},
      {"1|1|un\x1b[31mix|/run/x/i/ab/p.sock|grpc", "the network \"un?[31mix\""},
      // Protocol.
      {"1|1|unix|/run/x/i/ab/p.sock", "names no protocol, which means netrpc"},
      {"1|1|unix|/run/x/i/ab/p.sock|", "names no protocol, which means netrpc"},
      {"1|1|unix|/run/x/i/ab/p.sock|netrpc", "speaks netrpc; plugind speaks grpc only"},
      {"1|1|unix|/run/x/i/ab/p.sock|http", "the protocol \"http\"; expected grpc"},
      {"1|1|unix|/run/x/i/ab/p.sock|GRPC", "the protocol \"GRPC\""},
      {"1|1|unix|/elsewhere|netrpc", "speaks netrpc"},
      // A Unix address.
      {"1|1|unix||grpc", "the address \"\" is not an absolute path"},
      {"1|1|unix|p.sock|grpc", "the address \"p.sock\" is not an absolute path"},
      {"1|1|unix|@abstract|grpc", "is not an absolute path"},
      {"1|1|unix|\0abstract|grpc"s, "is not an absolute path"},
      {"1|1|unix| /run/x/i/ab/p.sock|grpc", "is not an absolute path"},
      {"1|1|unix|/tmp/p.sock|grpc", "the address \"/tmp/p.sock\" " + outside},
      {"1|1|unix|/run/x/i/abc/p.sock|grpc", outside},
      {"1|1|unix|/run/x/i/ab|grpc", outside},
      {"1|1|unix|/run/x/i/ab/|grpc", outside},
      {"1|1|unix|/run/x/i/a/p.sock|grpc", outside},
      {"1|1|unix|/run/x/i/ab/../cd/p.sock|grpc", outside},
      {"1|1|unix|/run/x/i/ab/..|grpc", outside},
      {"1|1|unix|/run/x/i/ab/d/../p.sock|grpc", outside},
      {"1|1|unix|//run/x/i/ab/p.sock|grpc", outside},
      {"1|1|unix|/RUN/x/i/ab/p.sock|grpc", outside},
      {"1|1|unix|/run/x/i/ab/p\0/../../q|grpc"s, "the address contains a NUL byte"},
      {"1|1|unix|" + PathOf(108) + "|grpc",
       "the address has 108 bytes; a socket's path may have 107"},
      {"1|1|unix|" + PathOf(4000) + "|grpc", "the address has 4000 bytes"},
      // TCP.
      {"1|1|tcp|127.0.0.1:1234|grpc",
       "listens on TCP (\"127.0.0.1:1234\"), which its configuration does not allow"},
      {"1|1|tcp|10.0.0.1:80|grpc", "only the loopback addresses 127.0.0.1 and [::1] are allowed",
       true},
      {"1|1|tcp|0.0.0.0:80|grpc", "only the loopback", true},
      {"1|1|tcp|[::]:80|grpc", "only the loopback", true},
      {"1|1|tcp|::1:80|grpc", "only the loopback", true},
      {"1|1|tcp|:80|grpc", "only the loopback", true},
      {"1|1|tcp|localhost.example.org:80|grpc", "only the loopback", true},
      {"1|1|tcp|127.0.0.1@evil.example:80|grpc", "only the loopback", true},
      {"1|1|tcp|127.0.0.1|grpc", "is not HOST:PORT", true},
      {"1|1|tcp|127.0.0.1:|grpc", "is not HOST:PORT", true},
      {"1|1|tcp|127.0.0.1:0|grpc", "is not HOST:PORT", true},
      {"1|1|tcp|127.0.0.1:65536|grpc", "is not HOST:PORT", true},
      {"1|1|tcp|127.0.0.1:http|grpc", "is not HOST:PORT", true},
      {"1|1|tcp|127.0.0.1:-1|grpc", "is not HOST:PORT", true},
      {"1|1|tcp||grpc", "is not HOST:PORT", true},
      {"1|1|tcp|/run/x/i/ab/p.sock|grpc", "is not HOST:PORT", true},
      // A certificate: DER begins with a SEQUENCE that is as long as it says.
      {head + "!!!", certificate},
      {head + "aGVsbG8", certificate},     // "hello"
      {head + "MA", certificate},          // a SEQUENCE without a length
      {head + "MAEA", tls},                // 30 01 00
      {head + "MAEA====", tls},            // padded beyond need
      {head + "MAIA", certificate},        // longer than it is
      {head + "MAAA", certificate},        // shorter than it is
      {head + "MIEBAA", tls},              // the long form of the length
      {head + "MIA", certificate},         // the indefinite form
      {head + "MIX/////AA", certificate},  // five octets of length
      {head + "MAEA A", certificate},
      {head + "M", certificate},
      // Multiplexing.
      {head + "|true", "multiplexes its socket (field 7), which this host did not ask for"},
      {head + "|1", "multiplexes its socket"},
  };
}

TEST(HandshakeTest, RefusesEachMistakeWithItsOwnSentence) {
  for (const Refused& refused : RefusedLines()) {
    std::string error;
    const auto terms = refused.tcp ? TermsWithTcp() : Terms();
    EXPECT_FALSE(ParseHandshake(refused.line, terms, &error)) << refused.line;
    EXPECT_NE(error.find(refused.says), std::string::npos) << refused.line << "\n → " << error;
  }
}

TEST(HandshakeTest, ARefusalIsOneShortLineWhateverThePluginPrinted) {
  for (const Refused& refused : RefusedLines()) {
    std::string error;
    const auto terms = refused.tcp ? TermsWithTcp() : Terms();
    ParseHandshake(refused.line, terms, &error);
    EXPECT_LT(error.size(), 400U) << error;
    for (const char c : error) {
      EXPECT_FALSE(c >= 0 && c < ' ') << "a control character in: " << error;
    }
  }
}

// ── AutoMTLS

// A P-521 certificate as go-plugin 1.8 makes it, for "localhost".
constexpr std::string_view kGoCertificate =
    "MIICTzCCAbGgAwIBAgIRAMgE38WZHyQNPio50lzezF8wCgYIKoZIzj0EAwQwKDESMBAGA1UEChMJSGFzaGlDb3JwMR"
    "IwEAYDVQQDEwlsb2NhbGhvc3QwIBcNMjYxMTIwMTU0NjI4WhgPMjA1NjExMjAwMzQ2NThaMCgxEjAQBgNVBAoTCUhh"
    "c2hpQ29ycDESMBAGA1UEAxMJbG9jYWxob3N0MIGbMBAGByqGSM49AgEGBSuBBAAjA4GGAAQBpsqC7QTLRkMaoUC86c"
    "ddEMbXhM4NoL1aMY4t4i8vWzgGvuKJl20tB5njqmVP/mzpkN+cnijK6T8E0TYUW5p407QBmMLitLK1kJEl1smYpxOd"
    "dMys31T6aYyHhDVo61eGbJV1oOuHe8FTY4EyryiQ+qbE6v4le7FgnJCgo/XhJzArNbGjdzB1MA4GA1UdDwEB/wQEAw"
    "ICrDAdBgNVHSUEFjAUBggrBgEFBQcDAgYIKwYBBQUHAwEwDwYDVR0TAQH/BAUwAwEB/zAdBgNVHQ4EFgQUF96GiaQ1"
    "sz1by3ZEtwXVJ8A+FuAwFAYDVR0RBA0wC4IJbG9jYWxob3N0MAoGCCqGSM49BAMEA4GLADCBhwJBT9mcnVTjG9WJzZ"
    "k6sVaAbwgwERSw/uZePb5y3rPIRigeFkCW+vvI/X7ucb7fJ2L3YzSzEqYipWGXZhNO9r+gog0CQgEPpSl4Cr55C39C"
    "RyMvpytOylLpS1dgcep9GalG7x3hWE238ExGaFQtVHiXKXr2B6HM407dm+TorPvcGqueXcKDUQ";

HandshakeTerms TermsWithTls() { return {{1}, /*allow_tcp=*/false, kDirectory, /*auto_mtls=*/true}; }

std::string LineWith(std::string_view certificate) {
  return "1|1|unix|/run/x/i/ab/p.sock|grpc|" + std::string(certificate);
}

TEST(HandshakeTest, TakesTheCertificateOfAutoMtlsPaddedOrNot) {
  ASSERT_NE(kGoCertificate.size() % 4, 0U);
  const std::string padded =
      std::string(kGoCertificate) + std::string(4 - kGoCertificate.size() % 4, '=');
  std::string error;
  const auto plain = ParseHandshake(LineWith(kGoCertificate), TermsWithTls(), &error);
  ASSERT_TRUE(plain) << error;
  EXPECT_EQ(plain->certificate.size(), kGoCertificate.size() * 3 / 4);
  EXPECT_EQ(plain->certificate[0], 0x30);
  EXPECT_EQ(ParseHandshake(LineWith(padded), TermsWithTls(), &error), plain) << error;
  EXPECT_EQ(ParseHandshake(LineWith(padded) + "|false", TermsWithTls(), &error), plain) << error;
}

TEST(HandshakeTest, NamesWhatIsWrongWithACertificateThatWasAskedFor) {
  const auto refusal = [](const std::string& line) {
    std::string error;
    EXPECT_FALSE(ParseHandshake(line, TermsWithTls(), &error)) << line;
    return error;
  };
  const std::string own = "the plugin has its own TLS or ignores AutoMTLS";
  EXPECT_NE(refusal("1|1|unix|/run/x/i/ab/p.sock|grpc").find(own), std::string::npos);
  EXPECT_NE(refusal(LineWith("")).find(own), std::string::npos);
  EXPECT_NE(refusal(LineWith("|false")).find(own), std::string::npos);
  EXPECT_NE(refusal(LineWith("!!!")).find("is not base64 of a DER certificate"), std::string::npos);
  EXPECT_NE(refusal(LineWith("MAEA")).find("is no X.509 certificate"), std::string::npos);
  // A sequence of 65,535 octets.
  const std::string huge = "MIL//w" + std::string(87'380, 'A');
  EXPECT_NE(refusal(LineWith(huge)).find("it may have 8192"), std::string::npos)
      << refusal(LineWith(huge));
}

TEST(HandshakeTest, ACertificateThatNobodyAskedForSaysHowToAskForIt) {
  std::string error;
  EXPECT_FALSE(ParseHandshake(LineWith(kGoCertificate), Terms(), &error));
  EXPECT_NE(error.find("set `auto_mtls`"), std::string::npos) << error;
}

TEST(HandshakeTest, AThousandFieldsAreNoTrouble) {
  std::string error;
  const std::string line = "1|1|unix|/run/x/i/ab/p.sock|grpc||false" + std::string(50'000, '|');
  EXPECT_TRUE(ParseHandshake(line, Terms(), &error)) << error;
}

TEST(HandshakeTest, NothingOfferedMeansNothingAccepted) {
  std::string error;
  EXPECT_FALSE(ParseHandshake("1|1|unix|/run/x/i/ab/p.sock|grpc", {{}, false, kDirectory}, &error));
  EXPECT_NE(error.find("offers"), std::string::npos) << error;
}

TEST(LooksLikeHandshakeTest, TellsLogLinesFromHandshakes) {
  for (const std::string_view line :
       {"1|1|unix|/p|grpc", "2|1|unix|/p|grpc", "1|1|udp|x", "1|1|", "1|1|unix",
        "\t1|1|unix|/p|grpc\r", "99999999999999999999|1|tcp|x"}) {
    EXPECT_TRUE(LooksLikeHandshake(line)) << line;
  }
  for (const std::string_view line :
       {"", " ", "|", "||||", "1", "1|1", "hello", "1|x|unix|/p|grpc", "x|1|unix|/p|grpc",
        "-1|1|unix|/p", "1 |1|unix|/p|grpc", "listening on 1|1|unix|/p|grpc", "1,1,unix",
        "{\"a\":\"1|1|unix\"}", "0x1|1|unix", "1||unix"}) {
    EXPECT_FALSE(LooksLikeHandshake(line)) << line;
  }
}

TEST(LooksLikeHandshakeTest, BinaryNoiseIsNone) {
  std::string noise;
  for (int i = 0; i < 256; ++i) noise += static_cast<char>(i);
  EXPECT_FALSE(LooksLikeHandshake(noise));
  EXPECT_FALSE(LooksLikeHandshake(std::string(1 << 20, '\0')));
}

TEST(PreambleLimitTest, AllowsSixtyFourLines) {
  PreambleLimit limit;
  std::string error;
  for (uint32_t i = 0; i < PreambleLimit::kLines; ++i) {
    ASSERT_TRUE(limit.Allows("starting up", false, &error)) << i << ": " << error;
  }
  EXPECT_FALSE(limit.Allows("one too many", false, &error));
  EXPECT_EQ(error, "more than 64 lines on stdout before the handshake");
}

TEST(PreambleLimitTest, AllowsSixtyFourKibibytesNewlinesIncluded) {
  PreambleLimit limit;
  std::string error;
  ASSERT_TRUE(limit.Allows(std::string(32 * 1024 - 1, 'x'), false, &error)) << error;
  ASSERT_TRUE(limit.Allows(std::string(32 * 1024 - 1, 'x'), false, &error)) << error;
  EXPECT_FALSE(limit.Allows("", false, &error));
  EXPECT_EQ(error, "more than 64 KiB on stdout before the handshake");
}

TEST(PreambleLimitTest, RefusesALineThatWasTooLongToBeKept) {
  PreambleLimit limit;
  std::string error;
  EXPECT_FALSE(limit.Allows(std::string(100, 'x'), true, &error));
  EXPECT_EQ(error, "an overlong line on stdout before the handshake");
}

}  // namespace
}  // namespace plugind::supervisor
