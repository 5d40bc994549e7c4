// One socket with one HTTP/2 session on it: bytes in, frames out, and what a peer may cost. Two
// kinds: CallerConnection (we are the server) and PluginConnection (we are the client).
//
// Life: adopted by its Worker → Start → reads and writes until Close → OnClosed, where its calls
// learn of it → buried, that is destroyed after the round. On its worker's thread only.
#pragma once

#include <nghttp2/nghttp2.h>

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/base/unique_fd.h"
#include "daemon/gateway/output.h"
#include "daemon/gateway/token_bucket.h"
#include "daemon/gateway/worker.h"
#include "daemon/tls/session.h"

namespace plugind::gateway {

class Call;

class Connection : public EpollTarget {
 public:
  ~Connection() override;
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  bool closed() const { return closed_; }
  nghttp2_session* session() { return session_; }
  const Output& output() const { return output_; }

  // Writes what the session has to say, as far as the socket takes it.
  void Write();
  // Copies what waits from the receive area.
  void Settle() { output_.Settle(); }
  // Nothing more is read or written; its calls are told.
  void Close(const std::string& why);
  // The same when everything has been said; a caller is given time to read it.
  void HangUp(const std::string& why);
  // Ends the connection as soon as the peer could be told; its calls with it.
  void Terminate(uint32_t http2_error);

  // Credit for `bytes` of stream `stream` that have gone on.
  void Consume(int32_t stream, size_t bytes);
  // Gives `stream` the large window, if there is any left to give. True: it has it.
  bool Grow(int32_t stream);
  void GiveBackGrowth();

  void OnReady(uint32_t events) override;
  // Feeds the session; what the socket would have brought. For OnReady and for tests of sessions.
  void Feed(std::string_view bytes);

 protected:
  // `tls` is null for a plain connection.
  Connection(Worker& worker, UniqueFd fd, tls::ClientPtr tls = nullptr);
  // Makes the session; false when there is no memory or the fd cannot be watched.
  bool Start(bool server);

  // nghttp2's callbacks; the default does nothing. Non-zero results are nghttp2's error codes.
  virtual void OnBeginFrame(const nghttp2_frame_hd&) {}
  virtual int OnBeginHeaders(const nghttp2_frame&) { return 0; }
  virtual void OnHeader(const nghttp2_frame& frame, std::string_view name,
                        std::string_view value) = 0;
  virtual int OnFrame(const nghttp2_frame& frame) = 0;
  virtual void OnData(int32_t stream, std::string_view bytes) = 0;
  virtual void OnStreamClosed(int32_t stream, uint32_t error) = 0;
  virtual void OnBeforeFrameSent(const nghttp2_frame&) {}
  virtual void OnFrameSent(const nghttp2_frame&) {}
  // `call`'s piece of body for this side has room for `limit` bytes.
  virtual ssize_t OnBodyWanted(Call& call, size_t limit, uint32_t* flags) = 0;
  virtual void OnBodyTaken(Call& call, size_t length) = 0;
  virtual void OnClosed(const std::string& why) = 0;

  nghttp2_data_provider BodyOf(Call& call);

  Worker& worker_;
  Output output_;

 private:
  friend struct Callbacks;
  friend class Worker;

  void Read();
  // As recv(2) and as write(2) of what waits.
  ssize_t Receive(std::span<char> room);
  Output::Result WriteOut();
  bool HasOutput() const { return !output_.empty() || (tls_ && tls_->blocked()); }
  // Why the socket or TLS failed, from errno.
  std::string Failure() const;
  // Whether `frame` is one too many of those that cost its sender nothing.
  bool IsFlood(const nghttp2_frame& frame);
  // It takes in nothing, and what it would have to be told is piling up.
  bool IsStuck() const;

  UniqueFd fd_;
  std::optional<tls::Session> tls_;
  nghttp2_session* session_ = nullptr;
  bool closed_ = false;
  bool dirty_ = false;                   // in the worker's list
  bool reading_again_ = false;           // in the worker's list
  bool blocked_ = false;                 // the socket took no more; EPOLLOUT will come
  bool broken_ = false;                  // the session takes nothing more in
  bool hung_up_ = false;                 // the peer will send no more than is there
  bool told_ = false;                    // HEADERS or DATA went out since the last PING came in
  size_t block_bytes_ = 0;               // of the header block that is coming in
  size_t blocks_ = 0;                    // header blocks in what was read last
  size_t at_once_ = Limits::kLeastRead;  // how much is read
  int64_t growth_left_ = Limits::kGrowthPerConnection;
  TokenBucket control_;
};

}  // namespace plugind::gateway
