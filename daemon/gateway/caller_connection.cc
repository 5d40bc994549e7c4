#include "daemon/gateway/caller_connection.h"

namespace plugind::gateway {

CallerConnection* CallerConnection::Open(Worker& worker, UniqueFd fd, Caller caller,
                                         std::shared_ptr<const Door> door, bool counted) {
  std::unique_ptr<CallerConnection> made(
      new CallerConnection(worker, std::move(fd), std::move(caller), std::move(door), counted));
  CallerConnection* connection = made.get();
  if (!connection->Start(true)) return nullptr;
  worker.Adopt(std::move(made));
  return connection;
}

CallerConnection::CallerConnection(Worker& worker, UniqueFd fd, Caller caller,
                                   std::shared_ptr<const Door> door, bool counted)
    : Connection(worker, std::move(fd)),
      caller_(std::move(caller)),
      door_(std::move(door)),
      counted_(counted),
      resets_(2 * worker.shared().limits.resets_per_second,
              worker.shared().limits.resets_per_second, worker.round()),
      handshake_(worker.timers()) {
  handshake_.Set(worker.round() + worker.shared().limits.handshake,
                 [this] { Close("it did not finish the HTTP/2 handshake in time"); });
}

CallerConnection::~CallerConnection() {
  if (counted_) worker_.shared().census.Leave(caller_.name);
}

Call* CallerConnection::Find(int32_t stream) {
  return static_cast<Call*>(nghttp2_session_get_stream_user_data(session(), stream));
}

void CallerConnection::Remove(Call& call) {
  Call* last = calls_.back();
  calls_[call.caller_index] = last;
  last->caller_index = call.caller_index;
  calls_.pop_back();
}

void CallerConnection::OnBeginFrame(const nghttp2_frame_hd& head) {
  if (head.type == NGHTTP2_HEADERS && !skipped_.Begin(head.stream_id)) {
    Terminate(NGHTTP2_PROTOCOL_ERROR);
  }
}

int CallerConnection::OnBeginHeaders(const nghttp2_frame& frame) {
  if (frame.headers.cat != NGHTTP2_HCAT_REQUEST) return 0;
  Call& call = worker_.NewCall();
  call.caller_index = calls_.size();
  calls_.push_back(&call);
  nghttp2_session_set_stream_user_data(session(), frame.hd.stream_id, &call);
  call.Begin(*this, frame.hd.stream_id);
  // A header block that is begun and never finished holds the connection; that too has its limit.
  handshake_.Set(worker_.round() + worker_.shared().limits.handshake,
                 [this] { Close("it did not finish a header block in time"); });
  return 0;
}

void CallerConnection::OnHeader(const nghttp2_frame& frame, std::string_view name,
                                std::string_view value) {
  // A request's trailers mean nothing in gRPC.
  if (frame.headers.cat != NGHTTP2_HCAT_REQUEST) return;
  if (Call* call = Find(frame.hd.stream_id)) call->RequestHeader(name, value);
}

int CallerConnection::OnFrame(const nghttp2_frame& frame) {
  const bool end = (frame.hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
  switch (frame.hd.type) {
    case NGHTTP2_SETTINGS:
      if (!greeted_) handshake_.Clear();
      greeted_ = true;
      break;
    case NGHTTP2_HEADERS:
      if (greeted_) handshake_.Clear();
      if (Call* call = Find(frame.hd.stream_id)) {
        if (frame.headers.cat == NGHTTP2_HCAT_REQUEST) {
          call->RequestReady(end);
        } else if (end) {
          call->RequestEnd();
        }
      }
      break;
    case NGHTTP2_DATA:
      if (Call* call = end ? Find(frame.hd.stream_id) : nullptr) call->RequestEnd();
      break;
    default:
      break;
  }
  return 0;
}

void CallerConnection::OnData(int32_t stream, std::string_view bytes) {
  Call* call = Find(stream);
  if (call == nullptr || call->state() == CallState::kEnded) {
    Consume(stream, bytes.size());
  } else {
    call->RequestData(bytes);
  }
}

void CallerConnection::OnStreamClosed(int32_t stream, uint32_t) {
  Call* call = Find(stream);
  if (call == nullptr) return;
  // Its header block may have been what the peer broke off.
  if (greeted_ && call->state() == CallState::kReading) handshake_.Clear();
  // Begun and not answered in full: cheap for the caller, whether it reset the stream or made us do
  // it by breaking a rule.
  if (nghttp2_session_get_stream_local_close(session(), stream) == 0 &&
      !resets_.Take(worker_.round())) {
    Terminate(NGHTTP2_ENHANCE_YOUR_CALM);
  }
  Remove(*call);
  // The session remembers the stream; the call will be another's.
  nghttp2_session_set_stream_user_data(session(), stream, nullptr);
  call->CallerClosed();
}

void CallerConnection::OnFrameSent(const nghttp2_frame& frame) {
  const bool carries_end = frame.hd.type == NGHTTP2_HEADERS || frame.hd.type == NGHTTP2_DATA;
  if (!carries_end || (frame.hd.flags & NGHTTP2_FLAG_END_STREAM) == 0) return;
  // The answer is complete and the request is not: the caller may stop (RFC 9113, 8.1).
  if (nghttp2_session_get_stream_remote_close(session(), frame.hd.stream_id) == 0) {
    nghttp2_submit_rst_stream(session(), NGHTTP2_FLAG_NONE, frame.hd.stream_id, NGHTTP2_NO_ERROR);
  }
}

ssize_t CallerConnection::OnBodyWanted(Call& call, size_t limit, uint32_t* flags) {
  return call.ResponseBodyWanted(limit, flags);
}

void CallerConnection::OnBodyTaken(Call& call, size_t length) {
  call.ResponseBodyTaken(length, output_);
}

void CallerConnection::OnClosed(const std::string&) {
  handshake_.Clear();
  std::vector<Call*> calls;
  calls.swap(calls_);
  for (Call* call : calls) call->CallerClosed();
}

void CallerConnection::SubmitResponse(Call& call, const std::vector<nghttp2_nv>& headers,
                                      bool body) {
  const nghttp2_data_provider provider = BodyOf(call);
  nghttp2_submit_response(session(), call.caller_stream(), headers.data(), headers.size(),
                          body ? &provider : nullptr);
  worker_.MarkDirty(*this);
}

void CallerConnection::SubmitTrailers(Call& call, const std::vector<nghttp2_nv>& trailers) {
  nghttp2_submit_trailer(session(), call.caller_stream(), trailers.data(), trailers.size());
  worker_.MarkDirty(*this);
}

void CallerConnection::ResumeBody(Call& call) {
  nghttp2_session_resume_data(session(), call.caller_stream());
  worker_.MarkDirty(*this);
}

void CallerConnection::ResetStream(Call& call, uint32_t http2_error) {
  nghttp2_submit_rst_stream(session(), NGHTTP2_FLAG_NONE, call.caller_stream(), http2_error);
  worker_.MarkDirty(*this);
}

bool CallerConnection::HasCredit(const Call& call) {
  return nghttp2_session_get_remote_window_size(session()) > 0 &&
         nghttp2_session_get_stream_remote_window_size(session(), call.caller_stream()) > 0;
}

}  // namespace plugind::gateway
