// A caller's connection: the gateway is the HTTP/2 server. Who is at the other end was asked of the
// kernel when it connected, and holds for every call on it. On its worker's thread only.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "daemon/gateway/call.h"
#include "daemon/gateway/caller.h"
#include "daemon/gateway/connection.h"
#include "daemon/gateway/door.h"
#include "daemon/gateway/skipped_streams.h"

namespace plugind::gateway {

class CallerConnection final : public Connection {
 public:
  // Adopted by `worker`. `door` is kept. `counted`: it left a mark in the census, which is taken
  // back at its end, and also when it could not be started: null. `fd` may be invalid in tests of
  // sessions, see Feed().
  static CallerConnection* Open(Worker& worker, UniqueFd fd, Caller caller,
                                std::shared_ptr<const Door> door, bool counted);
  ~CallerConnection() override;

  const Caller& caller() const { return caller_; }
  const Door& door() const { return *door_; }

  // Answers: all copied by nghttp2. `body`: the call has a body, or trailers to come.
  void SubmitResponse(Call& call, const std::vector<nghttp2_nv>& headers, bool body);
  void SubmitTrailers(Call& call, const std::vector<nghttp2_nv>& trailers);
  // More of the body has come.
  void ResumeBody(Call& call);
  void ResetStream(Call& call, uint32_t http2_error);
  // The caller has room for more of this call's body: trailers wait behind a body.
  bool HasCredit(const Call& call);

 private:
  CallerConnection(Worker& worker, UniqueFd fd, Caller caller, std::shared_ptr<const Door> door,
                   bool counted);

  void OnBeginFrame(const nghttp2_frame_hd& head) override;
  int OnBeginHeaders(const nghttp2_frame& frame) override;
  void OnHeader(const nghttp2_frame& frame, std::string_view name, std::string_view value) override;
  int OnFrame(const nghttp2_frame& frame) override;
  void OnData(int32_t stream, std::string_view bytes) override;
  void OnStreamClosed(int32_t stream, uint32_t error) override;
  void OnFrameSent(const nghttp2_frame& frame) override;
  ssize_t OnBodyWanted(Call& call, size_t limit, uint32_t* flags) override;
  void OnBodyTaken(Call& call, size_t length) override;
  void OnClosed(const std::string& why) override;

  Call* Find(int32_t stream);
  void Remove(Call& call);

  const Caller caller_;
  const std::shared_ptr<const Door> door_;
  const bool counted_;
  SkippedStreams skipped_;
  bool greeted_ = false;  // its SETTINGS have come
  std::vector<Call*> calls_;
  TokenBucket resets_;
  Deadline handshake_;
};

}  // namespace plugind::gateway
