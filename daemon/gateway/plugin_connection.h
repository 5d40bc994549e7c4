// A connection to one process of a plugin: the gateway is the HTTP/2 client. Shared by all calls of
// its worker that go there. On its worker's thread only.
#pragma once

#include <string>
#include <vector>

#include "daemon/gateway/call.h"
#include "daemon/gateway/connection.h"

namespace plugind::gateway {

class PluginConnection final : public Connection {
 public:
  // Adopted by `worker`. Null, with the cause in `error`, when it cannot be had.
  static PluginConnection* Open(Worker& worker, const InstancePtr& instance, std::string* error);

  const InstancePtr& instance() const { return instance_; }
  size_t streams() const { return calls_.size(); }
  bool takes_calls() const;
  // One more stream goes out at once, as far as is known.
  bool HasRoom() const;

  // A new stream with this request; 0 when the session takes no more.
  int32_t SubmitRequest(Call& call, const std::vector<nghttp2_nv>& headers, bool body);
  void ResumeBody(Call& call);
  void ResetStream(Call& call, uint32_t http2_error);
  // The answer is complete: what the plugin has not taken of the request, it will not need.
  void EndRequest(Call& call);
  // No new calls; closed as soon as none is left.
  void Retire();

 private:
  PluginConnection(Worker& worker, UniqueFd fd, InstancePtr instance);

  void OnHeader(const nghttp2_frame& frame, std::string_view name, std::string_view value) override;
  int OnFrame(const nghttp2_frame& frame) override;
  void OnData(int32_t stream, std::string_view bytes) override;
  void OnStreamClosed(int32_t stream, uint32_t error) override;
  void OnBeforeFrameSent(const nghttp2_frame& frame) override;
  ssize_t OnBodyWanted(Call& call, size_t limit, uint32_t* flags) override;
  void OnBodyTaken(Call& call, size_t length) override;
  void OnClosed(const std::string& why) override;

  Call* Find(int32_t stream);
  void Remove(Call& call);
  void EndIfIdle();

  const InstancePtr instance_;
  bool retired_ = false;
  std::vector<Call*> calls_;
};

}  // namespace plugind::gateway
