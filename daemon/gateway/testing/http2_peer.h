// The other end of one of the gateway's sockets, for tests: a caller or a plugin that speaks HTTP/2
// by itself and can be made to speak it badly. Nothing moves but in Pump(), so that a test decides
// what happens when.
#pragma once

#include <nghttp2/nghttp2.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "daemon/base/unique_fd.h"

namespace plugind::gateway::testing {

using Fields = std::vector<std::pair<std::string, std::string>>;

// The first value of `name`; "" if there is none.
std::string Find(const Fields& fields, std::string_view name);

struct PeerStream {
  int32_t id = 0;
  // What the other side has said.
  Fields headers;
  Fields trailers;
  std::string body;
  bool answered = false;           // its headers are complete
  bool ended = false;              // END_STREAM
  std::optional<uint32_t> closed;  // HTTP/2's error code
  // What this side has still to say.
  std::string out;
  size_t out_at = 0;  // what of it is sent
  size_t waiting() const { return out.size() - out_at; }
  bool out_ends = false;
  Fields out_trailers;

  // Of headers and trailers; of an answer without trailers, its headers have it.
  std::string Field(std::string_view name) const;
};

class Http2Peer {
 public:
  struct Options {
    std::vector<nghttp2_settings_entry> settings = {};
    bool consumes = true;  // false: windows stay shut until Consume()
  };
  enum class Role {
    kCaller,
    kPlugin
  };

  Http2Peer(UniqueFd fd, Role role) : Http2Peer(std::move(fd), role, Options()) {}
  Http2Peer(UniqueFd fd, Role role, Options options);
  Http2Peer(const Http2Peer&) = delete;
  Http2Peer& operator=(const Http2Peer&) = delete;
  ~Http2Peer();

  // Called from Pump: a request's headers are there, and it is there in full.
  std::function<void(PeerStream&)> on_headers;
  std::function<void(PeerStream&)> on_request;

  // Reads and writes what is possible. True: some bytes have moved.
  bool Pump();
  // False: no more is read from the socket.
  bool reads = true;
  bool open() const { return fd_.valid(); }
  int fd() const { return fd_.get(); }
  std::optional<uint32_t> goaway() const { return goaway_; }
  nghttp2_session* session() { return session_; }
  uint64_t received() const { return received_; }

  // A request of the usual headers for `path`, with `more` in addition.
  PeerStream& Call(std::string_view path, const Fields& more = {});
  // One with exactly these headers.
  PeerStream& Request(const Fields& headers, bool end = false);
  void Respond(PeerStream& stream, const Fields& headers, bool end = false);
  void Send(PeerStream& stream, std::string_view bytes);
  void End(PeerStream& stream, const Fields& trailers = {});
  void Reset(PeerStream& stream, uint32_t code);
  void Consume(PeerStream& stream, size_t bytes);
  // Past the session, after what it has said so far.
  void Raw(std::string_view bytes);
  void HangUp() { fd_.reset(); }

  const std::map<int32_t, std::unique_ptr<PeerStream>>& streams() const { return streams_; }

 private:
  friend struct PeerCallbacks;

  UniqueFd fd_;
  const bool consumes_;
  nghttp2_session* session_ = nullptr;
  std::string pending_;  // serialized, and not yet taken by the socket
  std::optional<uint32_t> goaway_;
  uint64_t received_ = 0;
  std::map<int32_t, std::unique_ptr<PeerStream>> streams_;
};

// A frame by hand.
std::string Frame(uint8_t type, uint8_t flags, int32_t stream, std::string_view payload);
// A gRPC message with its prefix.
std::string Message(std::string_view payload);

}  // namespace plugind::gateway::testing
