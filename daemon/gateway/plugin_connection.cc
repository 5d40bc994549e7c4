#include "daemon/gateway/plugin_connection.h"

namespace plugind::gateway {

PluginConnection* PluginConnection::Open(Worker& worker, const InstancePtr& instance,
                                         std::string* error) {
  UniqueFd fd = instance->connect(error);
  if (!fd.valid()) return nullptr;
  std::unique_ptr<PluginConnection> made(new PluginConnection(worker, std::move(fd), instance));
  PluginConnection* connection = made.get();
  if (!connection->Start(false)) {
    *error = "out of memory or file descriptors";
    return nullptr;
  }
  worker.Adopt(std::move(made));
  return connection;
}

PluginConnection::PluginConnection(Worker& worker, UniqueFd fd, InstancePtr instance)
    : Connection(worker, std::move(fd), instance->tls), instance_(std::move(instance)) {}

bool PluginConnection::takes_calls() const {
  // A plugin that has stopped reading keeps even those that were cancelled long ago.
  return !retired_ && !closed() &&
         nghttp2_session_get_outbound_queue_size(const_cast<PluginConnection*>(this)->session()) <
             Limits::kQueuedFrames;
}

bool PluginConnection::HasRoom() const {
  return takes_calls() && calls_.size() < nghttp2_session_get_remote_settings(
                                              const_cast<PluginConnection*>(this)->session(),
                                              NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);
}

Call* PluginConnection::Find(int32_t stream) {
  return static_cast<Call*>(nghttp2_session_get_stream_user_data(session(), stream));
}

void PluginConnection::Remove(Call& call) {
  Call* last = calls_.back();
  calls_[call.plugin_index] = last;
  last->plugin_index = call.plugin_index;
  calls_.pop_back();
}

int32_t PluginConnection::SubmitRequest(Call& call, const std::vector<nghttp2_nv>& headers,
                                        bool body) {
  const nghttp2_data_provider provider = BodyOf(call);
  const int32_t stream = nghttp2_submit_request(session(), nullptr, headers.data(), headers.size(),
                                                body ? &provider : nullptr, &call);
  if (stream <= 0) {
    Retire();  // out of stream ids, after a thousand million calls
    return 0;
  }
  call.plugin_index = calls_.size();
  calls_.push_back(&call);
  worker_.MarkDirty(*this);
  return stream;
}

void PluginConnection::ResumeBody(Call& call) {
  nghttp2_session_resume_data(session(), call.plugin_stream());
  worker_.MarkDirty(*this);
}

void PluginConnection::ResetStream(Call& call, uint32_t http2_error) {
  nghttp2_submit_rst_stream(session(), NGHTTP2_FLAG_NONE, call.plugin_stream(), http2_error);
  worker_.MarkDirty(*this);
}

void PluginConnection::EndRequest(Call& call) {
  if (nghttp2_session_get_stream_local_close(session(), call.plugin_stream()) == 0) {
    ResetStream(call, NGHTTP2_NO_ERROR);
  }
}

void PluginConnection::Retire() {
  retired_ = true;
  EndIfIdle();
}

void PluginConnection::EndIfIdle() {
  if (retired_ && calls_.empty() && !closed()) Terminate(NGHTTP2_NO_ERROR);
}

void PluginConnection::OnHeader(const nghttp2_frame& frame, std::string_view name,
                                std::string_view value) {
  if (Call* call = Find(frame.hd.stream_id)) call->ResponseHeader(name, value);
}

int PluginConnection::OnFrame(const nghttp2_frame& frame) {
  const bool end = (frame.hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
  switch (frame.hd.type) {
    case NGHTTP2_HEADERS:
      if (Call* call = Find(frame.hd.stream_id)) call->ResponseHeadersReady(end);
      break;
    case NGHTTP2_DATA:
      if (Call* call = end ? Find(frame.hd.stream_id) : nullptr) call->ResponseEnd();
      break;
    case NGHTTP2_GOAWAY:
      // nghttp2 closes the streams that the peer has not taken, as refused.
      Retire();
      break;
    default:
      break;
  }
  return 0;
}

void PluginConnection::OnData(int32_t stream, std::string_view bytes) {
  Call* call = Find(stream);
  if (call == nullptr || call->state() == CallState::kEnded) {
    Consume(stream, bytes.size());
  } else {
    call->ResponseData(bytes);
  }
}

void PluginConnection::OnStreamClosed(int32_t stream, uint32_t error) {
  Call* call = Find(stream);
  if (call == nullptr) return;
  Remove(*call);
  call->PluginClosed(error);
  EndIfIdle();
}

void PluginConnection::OnBeforeFrameSent(const nghttp2_frame& frame) {
  if (frame.hd.type != NGHTTP2_HEADERS) return;
  if (Call* call = Find(frame.hd.stream_id)) call->Serialized(output_.end());
}

ssize_t PluginConnection::OnBodyWanted(Call& call, size_t limit, uint32_t* flags) {
  return call.RequestBodyWanted(limit, flags);
}

void PluginConnection::OnBodyTaken(Call& call, size_t length) {
  call.RequestBodyTaken(length, output_);
}

void PluginConnection::OnClosed(const std::string& why) {
  worker_.Disconnected(*this);
  std::vector<Call*> calls;
  calls.swap(calls_);
  for (Call* call : calls) call->PluginLost(output_.written(), why);
}

}  // namespace plugind::gateway
