// A call's answer: the plugin's, passed on, or the gateway's own.
#include <algorithm>
#include <charconv>

#include "daemon/gateway/call.h"
#include "daemon/gateway/caller_connection.h"
#include "daemon/gateway/metadata.h"
#include "daemon/gateway/plugin_connection.h"

namespace plugind::gateway {
namespace {

constexpr size_t kMaxMessage = 1024;  // of the gateway's own grpc-message, before encoding

// grpc-status as a number; UNKNOWN where it is missing or is none.
int ParseStatus(std::string_view text) {
  int code = static_cast<int>(Code::kUnknown);
  std::from_chars(text.data(), text.data() + text.size(), code);
  return code;
}

Outcome OutcomeOf(int code) { return code == 0 ? Outcome::kOk : Outcome::kError; }

}  // namespace

void Call::ResponseHeader(std::string_view name, std::string_view value) {
  if (state_ != CallState::kForwarded && state_ != CallState::kAnswering) return;
  // The gateway may have had the last word already, and trailers_ are its own.
  if (to_caller_.ended) return;
  HeaderBlock& block = final_headers_ ? trailers_ : response_;
  header_bytes_ = block.empty() ? 0 : header_bytes_;
  header_bytes_ += name.size() + value.size() + Limits::kEntryOverhead;
  if (header_bytes_ > worker_.shared().limits.header_bytes) {
    ResetPluginStream(NGHTTP2_CANCEL);
    return Fail(Outcome::kError, Code::kResourceExhausted,
                route_->plugin + " answered with more than " +
                    std::to_string(worker_.shared().limits.header_bytes) + " bytes of metadata",
                "METADATA_TOO_LARGE");
  }
  if (name == ":status") return block.Add(name, value);
  switch (Classify(name, value)) {
    case HeaderKind::kPass:
      block.Add(name, value);
      break;
    case HeaderKind::kConsumed:
    case HeaderKind::kReserved:
    case HeaderKind::kHop:
      break;
    case HeaderKind::kIllegal:
      ResetPluginStream(NGHTTP2_CANCEL);
      Fail(Outcome::kError, Code::kInternal,
           route_->plugin + " answered with metadata that gRPC does not allow", "METADATA_INVALID");
      break;
  }
}

void Call::ResponseHeadersReady(bool end) {
  if (state_ != CallState::kForwarded && state_ != CallState::kAnswering) return;
  if (to_caller_.ended) return;
  if (!final_headers_) {
    if (response_.Find(":status").starts_with('1')) return response_.Clear();
    final_headers_ = true;
    if (end) {
      // Trailers only.
      to_caller_.ended = true;
      const std::string_view status = response_.Find("grpc-status");
      code_ = ParseStatus(status);
      caller_->SubmitResponse(*this, response_.List(), false);
      if (plugin_ != nullptr) plugin_->EndRequest(*this);
      return End(OutcomeOf(code_), code_);
    }
    state_ = CallState::kAnswering;
    replay_ = std::string();
    replayable_ = false;
    caller_->SubmitResponse(*this, response_.List(), true);
    return;
  }
  if (!end) return;  // HTTP/2 allows no headers in the middle; nghttp2 has reset the stream
  has_trailers_ = true;
  code_ = ParseStatus(trailers_.Find("grpc-status"));
  outcome_ = OutcomeOf(code_);
  ResponseEnd();
}

void Call::ResponseEnd() {
  if (state_ != CallState::kAnswering || to_caller_.ended) return;
  to_caller_.ended = true;
  if (!has_trailers_) {
    code_ = static_cast<int>(Code::kUnknown);
    outcome_ = Outcome::kError;
  }
  if (plugin_ != nullptr) plugin_->EndRequest(*this);
  if (to_caller_.waiting && caller_ != nullptr) {
    to_caller_.waiting = false;
    caller_->ResumeBody(*this);
  }
}

void Call::Fail(Outcome outcome, Code code, const std::string& message, std::string_view reason,
                Executed executed) {
  const CallState before = state_;
  if (before == CallState::kEnded) return;
  if (before == CallState::kHeld) worker_.Unhold(*this, route_->plugin);
  ResetPluginStream(NGHTTP2_CANCEL);
  detail_ = message;
  const std::string_view shown = std::string_view(message).substr(0, kMaxMessage);
  std::vector<std::pair<std::string, std::string>> metadata;
  if (route_ != nullptr) metadata.emplace_back("plugin", route_->plugin);
  metadata.emplace_back("method", path_);
  if (series_ == nullptr && outcome == Outcome::kRejected) {
    // Turned away before it was admitted: counted as both, so that the sums agree.
    series_ = &worker_.mutable_stats().Series(route_ != nullptr ? route_->plugin : "",
                                              caller_->caller().kind, "(refused)");
    series_->admitted.Add(1);
  }
  HeaderBlock& block = trailers_;
  block.Clear();
  const bool answered = before == CallState::kAnswering;
  if (!answered) {
    block.Add(":status", "200");
    block.Add("content-type", "application/grpc");
  }
  block.Add("grpc-status", std::to_string(static_cast<int>(code)));
  block.Add("grpc-message", PercentEncode(shown));
  block.Add("grpc-status-details-bin", EncodeErrorInfo(code, shown, reason, metadata));
  if (executed != Executed::kUnsaid) {
    block.Add("plugind-executed", executed == Executed::kNo ? "no" : "maybe");
  }
  if (!answered) {
    caller_->SubmitResponse(*this, block.List(), false);
    return End(outcome, static_cast<int>(code));
  }
  has_trailers_ = true;
  outcome_ = outcome;
  code_ = static_cast<int>(code);
  to_caller_.ended = true;
  // What the plugin has said goes first, unless it is the waiting that must end.
  if (outcome == Outcome::kDeadline || outcome == Outcome::kRejected) {
    DropKept(to_caller_);
    End(outcome, code_);
    if (!caller_->HasCredit(*this)) return caller_->ResetStream(*this, NGHTTP2_CANCEL);
  }
  if (to_caller_.waiting) {
    to_caller_.waiting = false;
    caller_->ResumeBody(*this);
  }
}

}  // namespace plugind::gateway
