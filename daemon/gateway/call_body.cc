// A call's bodies: in from one session, out by the other, with credit for what has gone on, and a
// copy of what has to wait.
#include <algorithm>

#include "daemon/gateway/call.h"
#include "daemon/gateway/caller_connection.h"
#include "daemon/gateway/plugin_connection.h"

namespace plugind::gateway {
namespace {

// Enough of a body has come to tell that it is a long one.
constexpr uint64_t kLongBody = uint64_t{Limits::kStreamWindow} / 2;
// Of a request that may not be executed twice, but may be sent again while nobody has seen it.
constexpr size_t kReplayOrdinary = size_t{16} * 1024;

}  // namespace

// ── The request's body

void Call::RequestData(std::string_view bytes) {
  if (plain_http_) return caller_->Consume(caller_stream_, bytes.size());
  to_plugin_.bytes += bytes.size();
  if (series_ != nullptr) series_->request_bytes.Add(bytes.size());
  to_plugin_.queue.Borrow(bytes);
  if (!unsettled_) {
    unsettled_ = true;
    worker_.MarkUnsettled(*this);
  }
  if (to_plugin_.waiting && plugin_ != nullptr) {
    to_plugin_.waiting = false;
    plugin_->ResumeBody(*this);
  }
}

void Call::RequestEnd() {
  if (plain_http_) return AnswerPlainHttp();
  to_plugin_.ended = true;
  if (to_plugin_.waiting && plugin_ != nullptr) {
    to_plugin_.waiting = false;
    plugin_->ResumeBody(*this);
  }
}

ssize_t Call::RequestBodyWanted(size_t limit, uint32_t* flags) {
  const size_t length = std::min(limit, to_plugin_.queue.size());
  if (length == 0 && !to_plugin_.ended) {
    to_plugin_.waiting = true;
    return NGHTTP2_ERR_DEFERRED;
  }
  *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
  if (to_plugin_.ended && length == to_plugin_.queue.size()) *flags |= NGHTTP2_DATA_FLAG_EOF;
  return static_cast<ssize_t>(length);
}

void Call::RequestBodyTaken(size_t length, Output& output) {
  const size_t remembered = idempotent_ ? Limits::kReplayBytes : kReplayOrdinary;
  for (size_t left = length; left > 0;) {
    bool owned = false;
    const std::string_view piece = to_plugin_.queue.Take(left, &owned);
    if (replayable_ && replay_.size() + piece.size() <= remembered) {
      replay_.append(piece);
    } else if (replayable_) {
      replayable_ = false;
      replay_ = std::string();
    }
    if (owned) {
      output.Copy(piece);
    } else {
      output.Refer(piece);
    }
    left -= piece.size();
  }
  to_plugin_.queue.Trim();
  Count(to_plugin_);
  taken_ += length;
  if (caller_ == nullptr) return;
  // What is sent a second time has been given back already.
  if (taken_ > credited_) {
    caller_->Consume(caller_stream_, static_cast<size_t>(taken_ - credited_));
    credited_ = taken_;
  }
  if (!to_plugin_.grown && !to_plugin_.ended && to_plugin_.bytes > kLongBody &&
      to_plugin_.queue.empty()) {
    to_plugin_.grown = caller_->Grow(caller_stream_);
    if (series_ != nullptr) series_->long_requests = true;
  }
}

// ── The answer's body

void Call::ResponseData(std::string_view bytes) {
  to_caller_.bytes += bytes.size();
  if (series_ != nullptr) series_->response_bytes.Add(bytes.size());
  to_caller_.queue.Borrow(bytes);
  if (!unsettled_) {
    unsettled_ = true;
    worker_.MarkUnsettled(*this);
  }
  if (to_caller_.waiting && caller_ != nullptr) {
    to_caller_.waiting = false;
    caller_->ResumeBody(*this);
  }
}

ssize_t Call::ResponseBodyWanted(size_t limit, uint32_t* flags) {
  const size_t length = std::min(limit, to_caller_.queue.size());
  if (length == 0 && !to_caller_.ended) {
    to_caller_.waiting = true;
    return NGHTTP2_ERR_DEFERRED;
  }
  *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
  if (!to_caller_.ended || length < to_caller_.queue.size()) return static_cast<ssize_t>(length);
  *flags |= NGHTTP2_DATA_FLAG_EOF;
  if (has_trailers_) {
    *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
    caller_->SubmitTrailers(*this, trailers_.List());
  }
  if (state_ != CallState::kEnded) End(outcome_, code_);
  return static_cast<ssize_t>(length);
}

void Call::ResponseBodyTaken(size_t length, Output& output) {
  for (size_t left = length; left > 0;) {
    bool owned = false;
    const std::string_view piece = to_caller_.queue.Take(left, &owned);
    if (owned) {
      output.Copy(piece);
    } else {
      output.Refer(piece);
    }
    left -= piece.size();
  }
  to_caller_.queue.Trim();
  Count(to_caller_);
  if (plugin_ == nullptr || length == 0) return;
  plugin_->Consume(plugin_stream_, length);
  if (!to_caller_.grown && !to_caller_.ended && to_caller_.bytes > kLongBody &&
      to_caller_.queue.empty()) {
    to_caller_.grown = plugin_->Grow(plugin_stream_);
    if (series_ != nullptr) series_->long_answers = true;
  }
}

// ── Bodies that have to wait

void Call::Settle() {
  unsettled_ = false;
  for (Flow* flow : {&to_plugin_, &to_caller_}) {
    flow->queue.Settle();
    const bool room = Count(*flow);
    if (flow->kept > size_t{Limits::kStreamWindow} && series_ != nullptr) {
      (flow == &to_plugin_ ? series_->long_requests : series_->long_answers) = false;
    }
    if (!room && state_ != CallState::kEnded) {
      Fail(Outcome::kRejected, Code::kResourceExhausted,
           "plugind's memory for bodies that wait is full", "OVERLOADED",
           sent_at_ ? Executed::kMaybe : Executed::kNo);
    }
  }
}

bool Call::Count(Flow& flow) {
  const size_t kept = flow.queue.kept();
  if (kept == flow.kept) return true;
  const auto more = static_cast<ptrdiff_t>(kept) - static_cast<ptrdiff_t>(flow.kept);
  flow.kept = kept;
  return worker_.Keep(caller_->caller().name, more);
}

void Call::DropKept(Flow& flow) {
  flow.queue.Clear();
  Count(flow);
}

}  // namespace plugind::gateway
