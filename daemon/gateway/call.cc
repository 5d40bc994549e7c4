#include "daemon/gateway/call.h"

#include <algorithm>

#include "daemon/gateway/caller_connection.h"
#include "daemon/gateway/metadata.h"
#include "daemon/gateway/plugin_connection.h"

namespace plugind::gateway {
namespace {

constexpr uint32_t kMaxAttempts = 5;
constexpr int32_t kRetryCost = 100;  // of PluginLoad::retry_budget
// A plugin that cannot be connected to, though it should: it may just be ending.
constexpr Duration kConnectAgain = std::chrono::milliseconds(20);
// What a plugin was told of a deadline within a day is rounded down by less than this.
constexpr Duration kDeadlineRounding = std::chrono::milliseconds(1);

}  // namespace

void Call::Reset() {
  worker_.call_timers().Clear(*this);
  state_ = CallState::kIdle;
  caller_ = nullptr;
  plugin_ = nullptr;
  caller_stream_ = plugin_stream_ = 0;
  instance_.reset();
  request_.Clear();
  header_bytes_ = 0;
  headers_too_large_ = plain_http_ = false;
  illegal_.clear();
  http_method_.clear();
  path_.clear();
  content_type_.clear();
  target_.clear();
  timeout_text_.clear();
  traceparent_.clear();
  deadline_.reset();
  route_.reset();
  counted_ = to_control_ = idempotent_ = false;
  attempts_ = 0;
  sent_at_.reset();
  series_ = nullptr;
  for (Flow* flow : {&to_plugin_, &to_caller_}) {
    DropKept(*flow);
    flow->ended = flow->waiting = flow->grown = false;
    flow->bytes = 0;
  }
  taken_ = credited_ = 0;
  replay_.clear();
  replayable_ = true;
  response_.Clear();
  trailers_.Clear();
  final_headers_ = has_trailers_ = false;
  outcome_ = Outcome::kOk;
  code_ = 0;
  hold_why_.clear();
  detail_.clear();
  unsettled_ = false;
}

// ── To a plugin

void Call::Dispatch() {
  if (route_->availability == Availability::kAbsent) {
    return Fail(Outcome::kNotExecuted, Code::kUnavailable, route_->reason, "PLUGIN_UNAVAILABLE",
                Executed::kNo);
  }
  if (route_->instances.empty()) return Hold(route_->reason, false);
  const auto least = std::min_element(route_->instances.begin(), route_->instances.end(),
                                      [](const InstancePtr& a, const InstancePtr& b) {
                                        return a->in_flight.load(std::memory_order_relaxed) <
                                               b->in_flight.load(std::memory_order_relaxed);
                                      });
  std::string error;
  PluginConnection* plugin = worker_.Connect(*least, &error);
  if (plugin == nullptr) return Hold("cannot connect to " + route_->plugin + ": " + error, true);
  Forward(*plugin, *least);
}

void Call::Hold(const std::string& why, bool retry) {
  hold_why_ = why;
  if (state_ != CallState::kHeld) {
    if (!worker_.Hold(*this, route_->plugin)) {
      return Fail(Outcome::kRejected, Code::kResourceExhausted,
                  why + "; and too many calls wait for it already", "OVERLOADED", Executed::kNo);
    }
    state_ = CallState::kHeld;
  }
  Instant until = began_ + worker_.routes().hold;
  if (deadline_) until = std::min(until, *deadline_);
  if (retry) until = std::min(until, worker_.Now() + kConnectAgain);
  ArmTimer(until);
}

void Call::Resume() {
  if (state_ != CallState::kHeld) return;
  const auto& plugins = worker_.routes().plugins;
  if (to_control_) {
    route_ = worker_.routes().control;
  } else if (const auto found = plugins.find(route_->plugin); found != plugins.end()) {
    // The same plugin's load is shared by all tables.
    route_ = found->second;
  } else {
    return Fail(Outcome::kNotExecuted, Code::kUnavailable,
                "the plugin " + route_->plugin + " is no longer configured", "PLUGIN_NOT_FOUND",
                Executed::kNo);
  }
  worker_.Unhold(*this, route_->plugin);
  state_ = CallState::kReading;
  Dispatch();
}

void Call::Forward(PluginConnection& plugin, const InstancePtr& instance) {
  ComposeRequest(instance->tls ? "https" : "http");
  sent_at_.reset();
  const bool body = !to_plugin_.ended || !to_plugin_.queue.empty();
  to_plugin_.waiting = false;
  plugin_stream_ = plugin.SubmitRequest(*this, response_.List(), body);
  response_.Clear();
  if (plugin_stream_ == 0) return Hold("its connection is used up", true);
  plugin_ = &plugin;
  instance_ = instance;
  instance_->Enter();
  ++attempts_;
  state_ = CallState::kForwarded;
  worker_.call_timers().Clear(*this);
  if (deadline_) ArmTimer(*deadline_);
}

// Into response_, which is not in use before the answer.
void Call::ComposeRequest(std::string_view scheme) {
  HeaderBlock& headers = response_;
  headers.Clear();
  headers.Add(":method", "POST");
  headers.Add(":scheme", scheme);
  headers.Add(":path", path_);
  // Some libraries refuse the escaped path of a socket, which is what callers send.
  headers.Add(":authority", "localhost");
  headers.Add("content-type", content_type_);
  headers.Add("te", "trailers");
  if (deadline_) headers.AddUnique("grpc-timeout", FormatTimeout(*deadline_ - worker_.round()));
  headers.AddAll(request_);
  if (!traceparent_.empty()) headers.AddUnique("traceparent", traceparent_);
  headers.Add("plugind-caller", caller_->caller().name);
  if (to_control_) {
    headers.Add("plugind-role", ToString(worker_.routes().RoleOf(caller_->caller())));
    headers.Add("plugind-pid", std::to_string(caller_->caller().pid));
  }
}

void Call::ArmTimer(Instant when) { worker_.call_timers().Set(*this, when); }

void Call::OnTimer() {
  const Instant now = worker_.round();
  if (deadline_ && now >= *deadline_) {
    return Fail(Outcome::kDeadline, Code::kDeadlineExceeded,
                state_ == CallState::kHeld
                    ? "the deadline passed while the call waited: " + hold_why_
                    : "the deadline passed",
                "DEADLINE_EXCEEDED");
  }
  if (state_ != CallState::kHeld) return;
  if (now >= began_ + worker_.routes().hold) {
    return Fail(Outcome::kNotExecuted, Code::kUnavailable, hold_why_, "PLUGIN_RESTARTING",
                Executed::kNo);
  }
  Resume();
}

void Call::Serialized(uint64_t position) {
  sent_at_ = position;
  if (series_ != nullptr && series_->long_answers && !to_caller_.grown) {
    to_caller_.grown = plugin_->Grow(plugin_stream_);
  }
}

// ── When a plugin fails it

void Call::PluginClosed(uint32_t http2_error) {
  const std::string plugin = route_->plugin;
  const bool sent = sent_at_.has_value();
  LetGoOfPlugin();
  if (state_ == CallState::kEnded) return ReleaseIfDone();
  if (to_caller_.ended) return;  // complete; the rest of it is on its way to the caller
  if (state_ == CallState::kForwarded && http2_error == NGHTTP2_REFUSED_STREAM) {
    return Retry(false, Code::kUnavailable, plugin + " refused the call");
  }
  if (state_ == CallState::kForwarded && !sent) {
    // It was still in the session's queue when the plugin took no more streams.
    return Retry(false, Code::kUnavailable, plugin + " takes no more calls on this connection");
  }
  // A plugin minds the deadline too, and its timer may be ahead of ours.
  if (http2_error == NGHTTP2_CANCEL && deadline_ &&
      worker_.Now() + kDeadlineRounding >= *deadline_) {
    return Fail(Outcome::kDeadline, Code::kDeadlineExceeded, "the deadline passed",
                "DEADLINE_EXCEEDED");
  }
  const Code code = CodeOfReset(http2_error);
  const std::string why = plugin + " reset the call: " + nghttp2_http2_strerror(http2_error);
  if (state_ == CallState::kForwarded && idempotent_) return Retry(sent, code, why);
  Fail(Outcome::kError, code, why, "PLUGIN_RESET", Executed::kUnsaid);
}

void Call::PluginLost(uint64_t written, const std::string& why) {
  const bool sent = sent_at_ && written > *sent_at_;
  const std::string plugin = route_->plugin;
  LetGoOfPlugin();
  if (state_ == CallState::kEnded) return ReleaseIfDone();
  if (to_caller_.ended) return;
  const std::string message = "the connection to " + plugin + " was lost: " + why;
  if (state_ == CallState::kForwarded) return Retry(sent, Code::kUnavailable, message);
  Fail(Outcome::kMaybeExecuted, Code::kUnavailable, message, "PLUGIN_RESTARTING", Executed::kMaybe);
}

void Call::Retry(bool executed, Code code, const std::string& why) {
  const auto give_up = [&] {
    Fail(executed ? Outcome::kMaybeExecuted : Outcome::kNotExecuted, code, why, "PLUGIN_RESTARTING",
         executed ? Executed::kMaybe : Executed::kNo);
  };
  if (executed && !idempotent_) return give_up();
  if ((executed && attempts_ >= kMaxAttempts) || !RewindRequest()) return give_up();
  // A call that no plugin has seen costs the plugin nothing twice; one that it may have does.
  if (executed && route_->load != nullptr) {
    auto& budget = route_->load->retry_budget;
    if (budget.fetch_sub(kRetryCost, std::memory_order_relaxed) < kRetryCost) {
      budget.fetch_add(kRetryCost, std::memory_order_relaxed);
      return give_up();
    }
  }
  if (series_ != nullptr) series_->resent.Add(1);
  response_.Clear();
  header_bytes_ = 0;
  final_headers_ = false;
  sent_at_.reset();
  // The first time at once: the connection may have been at its end, not the plugin. After that the
  // plugin is likely to be on its way out, though still in the table.
  if (attempts_ == 1) {
    state_ = CallState::kReading;
    return Dispatch();
  }
  Hold(why, true);
}

bool Call::RewindRequest() {
  if (taken_ == 0) return true;
  if (!replayable_) return false;
  std::string all = std::move(replay_);
  while (!to_plugin_.queue.empty()) {
    bool owned = false;
    all.append(to_plugin_.queue.Take(to_plugin_.queue.size(), &owned));
  }
  DropKept(to_plugin_);
  to_plugin_.queue.Borrow(all);
  to_plugin_.queue.Settle();
  Count(to_plugin_);
  replay_.clear();
  taken_ = 0;
  return true;
}

void Call::LetGoOfPlugin() {
  if (plugin_ != nullptr && to_caller_.grown) plugin_->GiveBackGrowth();
  to_caller_.grown = false;
  plugin_ = nullptr;
  plugin_stream_ = 0;
  if (instance_ != nullptr) instance_->Leave();
  instance_.reset();
}

void Call::ResetPluginStream(uint32_t http2_error) {
  if (plugin_ != nullptr) plugin_->ResetStream(*this, http2_error);
}

// ── The end

void Call::CallerClosed() {
  if (caller_ != nullptr && to_plugin_.grown) caller_->GiveBackGrowth();
  to_plugin_.grown = false;
  if (state_ == CallState::kReading) {
    state_ = CallState::kEnded;  // before it could be admitted: nothing to count
  } else if (state_ != CallState::kEnded) {
    if (state_ == CallState::kHeld) worker_.Unhold(*this, route_->plugin);
    ResetPluginStream(NGHTTP2_CANCEL);
    End(Outcome::kCancelled, static_cast<int>(Code::kCancelled));
  }
  // Nothing waits any more, and what waited was this caller's.
  DropKept(to_plugin_);
  DropKept(to_caller_);
  caller_ = nullptr;
  ReleaseIfDone();
}

void Call::End(Outcome outcome, int code) {
  state_ = CallState::kEnded;
  worker_.call_timers().Clear(*this);
  if (counted_) route_->load->in_flight.fetch_sub(1, std::memory_order_relaxed);
  counted_ = false;
  // Its stream at the plugin is reset, or has all of it; a plugin that does not read the reset must
  // not hold this memory.
  DropKept(to_plugin_);
  replay_ = std::string();
  const Duration duration = worker_.Now() - began_;
  if (series_ != nullptr) {
    series_->ended[static_cast<size_t>(outcome)].Add(1);
    series_->latency.Record(duration);
  }
  if (worker_.shared().told.ended && caller_ != nullptr) {
    worker_.shared().told.ended(CallEnd{
        caller_->caller().name, route_ != nullptr ? std::string_view(route_->plugin) : "", path_,
        outcome, code, duration, traceparent_.empty() ? "" : TraceId(traceparent_), detail_});
  }
}

void Call::ReleaseIfDone() {
  if (state_ == CallState::kEnded && caller_ == nullptr && plugin_ == nullptr)
    worker_.Release(*this);
}

}  // namespace plugind::gateway
