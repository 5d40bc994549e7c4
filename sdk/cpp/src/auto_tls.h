// go-plugin's AutoMTLS, the plugin's half: a certificate made for this process alone, which the
// handshake carries to the host, while the host's own came in PLUGIN_CLIENT_CERT. Neither side
// trusts anything else.
#pragma once

#include <grpcpp/security/server_credentials.h>

#include <memory>
#include <string>

namespace plugind::sdk {

// A certificate for "localhost" and its key: ECDSA P-256, signed by itself.
struct ThrowAwayIdentity {
  std::string certificate;  // PEM
  std::string key;          // PEM
  std::string encoded;      // the certificate as the handshake has it: base64 of DER, unpadded
};

// Takes well under a millisecond. Throws Failure: no random numbers, in practice.
ThrowAwayIdentity MakeThrowAwayIdentity();

// What lets in only the owner of `client_certificate` (PEM, PLUGIN_CLIENT_CERT as it is). Throws
// Failure, naming the variable, if that is no certificate.
std::shared_ptr<grpc::ServerCredentials> TrustOnly(const std::string& client_certificate,
                                                   const ThrowAwayIdentity& own);

}  // namespace plugind::sdk
