// One call on its way: a stream of a caller's session joined to a stream of a plugin's. What is
// decided about it is decided here; the sessions only carry it.
//
// Life: Begin → RequestReady: admitted or refused → held until its plugin can take it → forwarded →
// answering → ended, which happens exactly once (End) and is counted there. After its end it stays
// until both streams are closed, and is then used for another call. On its worker's thread only.
#pragma once

#include <nghttp2/nghttp2.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "daemon/gateway/body_queue.h"
#include "daemon/gateway/call_timers.h"
#include "daemon/gateway/grpc_wire.h"
#include "daemon/gateway/header_block.h"
#include "daemon/gateway/output.h"
#include "daemon/gateway/worker.h"

namespace plugind::gateway {

class CallerConnection;
class PluginConnection;

enum class CallState : uint8_t {
  kIdle,       // of no call
  kReading,    // the request's headers are coming in
  kHeld,       // no plugin takes it yet
  kForwarded,  // given to a plugin's session; nothing of the answer has been passed on
  kAnswering,  // the answer has begun
  kEnded,
};

class Call : public CallTimer {
 public:
  explicit Call(Worker& worker) : worker_(worker) {}
  void Reset();

  CallState state() const { return state_; }

  // ── From the caller's session
  void Begin(CallerConnection& caller, int32_t stream);
  void RequestHeader(std::string_view name, std::string_view value);
  void RequestReady(bool end);
  void RequestData(std::string_view bytes);
  void RequestEnd();
  // The caller's stream is closed, by whomever; nothing more goes there.
  void CallerClosed();

  // ── From the plugin's session
  void ResponseHeader(std::string_view name, std::string_view value);
  void ResponseHeadersReady(bool end);
  void ResponseData(std::string_view bytes);
  void ResponseEnd();
  // The request's headers are about to be written to this position of the session's output.
  void Serialized(uint64_t position);
  // The plugin's stream is closed; nothing more comes from there.
  void PluginClosed(uint32_t http2_error);
  // The whole connection is. `written`: of its output, what the socket took.
  void PluginLost(uint64_t written, const std::string& why);

  // ── Bodies, as nghttp2 asks for them
  ssize_t RequestBodyWanted(size_t limit, uint32_t* flags);
  void RequestBodyTaken(size_t length, Output& output);
  ssize_t ResponseBodyWanted(size_t limit, uint32_t* flags);
  void ResponseBodyTaken(size_t length, Output& output);

  // ── From the worker: what is borrowed must be copied; the routes have changed; it is time
  void Settle();
  void Resume();
  void OnTimer();

  // Places in the connections' lists of calls.
  size_t caller_index = 0;
  size_t plugin_index = 0;
  int32_t caller_stream() const { return caller_stream_; }
  int32_t plugin_stream() const { return plugin_stream_; }

 private:
  struct Flow {
    BodyQueue queue;
    bool ended = false;    // no more will come into it
    bool waiting = false;  // nghttp2 was told to wait
    bool grown = false;    // its source has the large window
    uint64_t bytes = 0;    // that came in
    size_t kept = 0;       // counted with Worker::Keep
  };
  enum class Executed : uint8_t {
    kUnsaid,
    kNo,
    kMaybe
  };

  // Admission, in call_admit.cc. False: it has been answered.
  bool IsWellFormed();
  bool FindRoute();
  bool FindByService(std::string_view service);
  bool MayCall();
  void Admit();
  void AnswerPlainHttp();

  void Dispatch();
  void Hold(const std::string& why, bool retry);
  void Forward(PluginConnection& plugin, const InstancePtr& instance);
  void ComposeRequest(std::string_view scheme);
  // The plugin failed it before it answered: sends it again if that is allowed.
  void Retry(bool executed, Code code, const std::string& why);
  bool RewindRequest();
  void ArmTimer(Instant when);

  // The gateway's own answer.
  void Fail(Outcome outcome, Code code, const std::string& message, std::string_view reason,
            Executed executed = Executed::kUnsaid);
  void SubmitTrailers();
  void End(Outcome outcome, int code);
  void LetGoOfPlugin();
  void ResetPluginStream(uint32_t http2_error);
  // Sees that Worker::Keep knows what `flow` holds. False: no more may be held.
  bool Count(Flow& flow);
  void DropKept(Flow& flow);
  void ReleaseIfDone();

  Worker& worker_;
  CallState state_ = CallState::kIdle;
  CallerConnection* caller_ = nullptr;  // null: its stream is closed
  PluginConnection* plugin_ = nullptr;  // null: there is no stream, or it is closed
  int32_t caller_stream_ = 0;
  int32_t plugin_stream_ = 0;
  InstancePtr instance_;

  // The request.
  Instant began_;
  HeaderBlock request_;  // those that are passed on as they came
  size_t header_bytes_ = 0;
  bool headers_too_large_ = false;
  bool plain_http_ = false;
  std::string illegal_;  // the first header that is
  std::string http_method_;
  std::string path_;
  std::string content_type_;
  std::string target_;  // plugind-plugin
  std::string timeout_text_;
  std::string traceparent_;
  std::optional<Instant> deadline_;
  RoutePtr route_;        // as of its admission
  bool counted_ = false;  // in route_->load
  bool to_control_ = false;
  bool idempotent_ = false;
  uint32_t attempts_ = 0;
  std::optional<uint64_t> sent_at_;
  CallSeries* series_ = nullptr;

  Flow to_plugin_;
  Flow to_caller_;
  uint64_t taken_ = 0;     // of the request's body, by the present attempt
  uint64_t credited_ = 0;  // of it, given back to the caller's window
  std::string replay_;     // what has been taken, while it may be needed again
  bool replayable_ = true;

  // The answer.
  HeaderBlock response_;
  HeaderBlock trailers_;
  bool final_headers_ = false;  // the answer's headers (not 1xx) are complete
  bool has_trailers_ = false;
  Outcome outcome_ = Outcome::kOk;  // once the answer is complete
  int code_ = 0;
  std::string hold_why_;
  std::string detail_;  // what the gateway told the caller

  bool unsettled_ = false;
};

}  // namespace plugind::gateway
