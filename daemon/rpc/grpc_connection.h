// gRPC calls to one plugin over one HTTP/2 connection, on the event loop: no thread, no lock, and
// no timer but a call's deadline. It reads when the socket has something and writes when a call
// begins, so a quiet connection wakes nobody.
//
// Under AutoMTLS all of it goes through TLS, whose handshake begins with the first call.
//
// A plugin can end or spoil only this connection: every call on it then ends UNAVAILABLE. Memory is
// bounded by the size of a message for each call. Owned by GrpcPluginClient.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "daemon/base/event_loop.h"
#include "daemon/base/status.h"
#include "daemon/base/unique_fd.h"
#include "daemon/rpc/grpc_wire.h"
#include "daemon/tls/session.h"

struct nghttp2_session;

namespace plugind::rpc {

class GrpcConnection {
 public:
  using CallId = int32_t;
  // Both run on the loop, never inside of a method of this class that the caller is in, and may
  // destroy the connection. `done` comes once and last, unless the call is cancelled.
  using OnMessage = std::function<void(const std::string& bytes)>;
  using OnDone = std::function<void(const absl::Status& status)>;

  // `socket` is connected and non-blocking; `tls` is null for a plain connection. What is called in
  // one round of the loop goes out with one write at its end.
  GrpcConnection(EventLoop& loop, UniqueFd socket, tls::ClientPtr tls = nullptr);
  // Closes it. Calls that are under way end without a word.
  ~GrpcConnection();
  GrpcConnection(const GrpcConnection&) = delete;
  GrpcConnection& operator=(const GrpcConnection&) = delete;

  // Calls `method` ("/package.Service/Method") with one request. Without a timeout it lasts until
  // the plugin ends it.
  CallId Call(const std::string& method, std::string_view request, std::optional<Duration> timeout,
              OnMessage message, OnDone done);
  // Calls `method` with a stream of requests, which stays open for as long as the call lasts.
  CallId OpenStream(const std::string& method, OnMessage message, OnDone done);
  // One more request on such a stream. False: so much of it waits for the plugin that this one is
  // dropped, or the stream has ended.
  bool Send(CallId id, std::string_view request);
  // No callback of this call runs any more.
  void Cancel(CallId id);

  // Makes the TLS handshake and tells how it ended, once. FAILED_PRECONDITION: the plugin is not
  // who it should be. Only with TLS; a later one, or null, takes the place of the one before.
  void Secure(OnDone done);

  // Whether it takes new calls: it is open, and the plugin has not said that it goes away.
  bool usable() const;
  bool idle() const { return calls_.empty() && deliveries_.empty(); }

  static constexpr size_t kMostUnsent = size_t{64} * 1024;  // of a stream's requests

 private:
  struct ActiveCall {
    std::string request;  // framed; what is left to send begins at `sent`
    size_t sent = 0;
    bool open = false;  // more requests may follow
    MessageAssembler assembler;
    ResponseStatus status;
    std::shared_ptr<const OnMessage> message;
    OnDone done;
    std::unique_ptr<Deadline> deadline;
  };
  // What the callbacks are to be told, once HTTP/2 is not on the stack any more.
  struct Delivery {
    CallId id;
    std::shared_ptr<const OnMessage> message;  // null: the end
    OnDone done;
    std::string bytes;
    absl::Status status;
  };
  struct Callbacks;  // nghttp2's

  CallId Begin(const std::string& method, std::string_view framed, bool open,
               std::optional<Duration> timeout, OnMessage message, OnDone done);
  void OnEvents(uint32_t events);
  bool Receive();
  void Flush();
  // Of unsent_, as send(2).
  ssize_t Write();
  // TLS has bytes for the socket, which it could not take.
  bool HasSealed() const { return tls_ && tls_->blocked(); }
  void TellSecured();
  void Watch(bool for_room);
  // The end of one call, told by Deliver(); of all calls, and of the connection.
  void Conclude(CallId id, const absl::Status& status);
  void Abort(CallId id, const absl::Status& status);
  void Break(const std::string& why);
  // Tells what has come. May destroy this object.
  void Deliver();
  void AtEndOfRound();
  // What TLS has taken from the socket and not yet handed over wakes nobody.
  void ReceiveAgain();

  EventLoop& loop_;
  UniqueFd socket_;
  std::optional<tls::Session> tls_;
  OnDone secured_;  // waits for TLS's handshake
  nghttp2_session* session_ = nullptr;
  bool waits_for_room_ = false;
  std::string unsent_;
  std::map<CallId, ActiveCall> calls_;
  std::deque<Delivery> deliveries_;
  CallId last_refused_ = 0;  // ids of calls that never became a stream count down
  bool round_ends_ = false;  // Flush and Deliver are on their way
  std::shared_ptr<const bool> alive_ = std::make_shared<const bool>(true);
};

}  // namespace plugind::rpc
