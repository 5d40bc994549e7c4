// What all TLS connections to one plugin process have in common: who plugind is to it, and the one
// certificate that the plugin may show. Immutable: made once for a launch, shared by the
// supervisor's and the gateway's connections.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "daemon/tls/identity.h"

struct ssl_ctx_st;

namespace plugind::tls {

class Client {
 public:
  // `peer` is the plugin's certificate, DER, as its handshake gave it. Null, with the cause in
  // `error`, when one of the two is not what it should be.
  static std::shared_ptr<const Client> Make(const Identity& identity, std::string_view peer,
                                            std::string* error);
  // For a peer that is known by other means than its certificate, such as its socket: it may show
  // any.
  static std::shared_ptr<const Client> MakeForAnyPeer(const Identity& identity, std::string* error);
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  ssl_ctx_st* context() const { return context_; }
  // Empty: any.
  const std::string& peer() const { return peer_; }

 private:
  Client(ssl_ctx_st* context, std::string peer) : context_(context), peer_(std::move(peer)) {}

  ssl_ctx_st* const context_;
  const std::string peer_;
};
using ClientPtr = std::shared_ptr<const Client>;  // shared: by the connections of several threads

}  // namespace plugind::tls
