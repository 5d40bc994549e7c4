// The plugin's end of TLS, for tests: a thread that speaks TLS on one socket and hands the plain
// bytes on to another, as crypto/tls does in a Go plugin. Ends when one of them does.
#pragma once

#include <memory>
#include <string>
#include <thread>

#include "daemon/base/unique_fd.h"
#include "daemon/tls/identity.h"

namespace plugind::tls::testing {

struct ServerTerms {
  Identity identity;
  std::string trusted;  // the only client's certificate that it takes, PEM
  bool only_tls_1_2 = false;
};

class Server {
 public:
  // `outside` speaks TLS, `inside` does not; both non-blocking stream sockets.
  Server(const ServerTerms& terms, UniqueFd outside, UniqueFd inside);
  // Hangs up.
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

 private:
  struct Pump;

  const std::unique_ptr<Pump> pump_;
  std::thread thread_;
};

// The certificate of `identity`, DER, as a handshake carries it.
std::string DerOf(const Identity& identity);

}  // namespace plugind::tls::testing
