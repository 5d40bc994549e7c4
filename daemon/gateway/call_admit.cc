// A call's admission: well-formed, known, allowed, and within its plugin's limits, or answered
// here.
#include <algorithm>

#include "daemon/gateway/call.h"
#include "daemon/gateway/caller_connection.h"
#include "daemon/gateway/metadata.h"
#include "daemon/gateway/method_path.h"

namespace plugind::gateway {
namespace {

std::string Join(const std::vector<std::string>& names) {
  std::string all;
  for (const std::string& name : names) all += (all.empty() ? "" : ", ") + name;
  return all;
}

}  // namespace

void Call::Begin(CallerConnection& caller, int32_t stream) {
  state_ = CallState::kReading;
  caller_ = &caller;
  caller_stream_ = stream;
  began_ = worker_.Now();
}

void Call::RequestHeader(std::string_view name, std::string_view value) {
  const size_t limit = worker_.shared().limits.header_bytes;
  header_bytes_ += name.size() + value.size() + Limits::kEntryOverhead;
  if (header_bytes_ > limit) {
    headers_too_large_ = true;
    return;
  }
  switch (Classify(name, value)) {
    case HeaderKind::kPass:
      if (name == "content-type") {
        content_type_ = value;
      } else {
        request_.Add(name, value);
      }
      break;
    case HeaderKind::kConsumed:
      if (name == ":path") {
        path_ = value;
      } else if (name == ":method") {
        http_method_ = value;
      } else if (name == "grpc-timeout") {
        timeout_text_ = value;
      } else if (name == "traceparent" && IsTraceparent(value)) {
        traceparent_ = value;
      }
      break;
    case HeaderKind::kReserved:
      if (name == "plugind-plugin") target_ = value;
      break;
    case HeaderKind::kHop:
      break;
    case HeaderKind::kIllegal:
      if (illegal_.empty()) illegal_ = name;
      break;
  }
}

void Call::RequestReady(bool end) {
  if (state_ != CallState::kReading) return;
  to_plugin_.ended = end;
  if (!content_type_.starts_with("application/grpc") && !headers_too_large_) {
    plain_http_ = true;
    if (end) AnswerPlainHttp();
    return;
  }
  if (IsWellFormed() && FindRoute() && MayCall()) Admit();
}

bool Call::IsWellFormed() {
  const auto refuse = [this](Code code, const std::string& why, std::string_view reason) {
    Fail(Outcome::kRejected, code, why, reason);
    return false;
  };
  if (headers_too_large_) {
    return refuse(Code::kResourceExhausted,
                  "the call's metadata exceeds " +
                      std::to_string(worker_.shared().limits.header_bytes) + " bytes",
                  "METADATA_TOO_LARGE");
  }
  if (!illegal_.empty()) {
    return refuse(
        Code::kInvalidArgument,
        "the metadata \"" + illegal_ + "\" has a name or a value that gRPC does not allow",
        "METADATA_INVALID");
  }
  if (http_method_ != "POST" || !ParseMethodPath(path_)) {
    return refuse(Code::kInvalidArgument,
                  "a call is a POST to /package.Service/Method, not " + http_method_ + " " + path_,
                  "METHOD_INVALID");
  }
  if (!timeout_text_.empty()) {
    const std::optional<Duration> timeout = ParseTimeout(timeout_text_);
    if (!timeout) {
      return refuse(Code::kInvalidArgument, "grpc-timeout \"" + timeout_text_ + "\" is malformed",
                    "METADATA_INVALID");
    }
    // What reaches beyond the clock's range is no deadline.
    if (*timeout < Instant::max() - began_) deadline_ = began_ + *timeout;
  }
  return true;
}

bool Call::FindRoute() {
  const RouteTable& routes = worker_.routes();
  const Door& door = caller_->door();
  const MethodPath path = *ParseMethodPath(path_);
  const std::string* named = nullptr;
  if (door.kind == Door::Kind::kPlugin) {
    named = &door.plugin;
  } else if (!target_.empty()) {
    named = &target_;
  } else if (routes.control != nullptr && routes.control_services.contains(path.service)) {
    route_ = routes.control;
    to_control_ = true;
    return true;
  } else {
    return FindByService(path.service);
  }
  const auto found = routes.plugins.find(*named);
  if (found == routes.plugins.end()) {
    Fail(Outcome::kRejected, Code::kNotFound, "there is no plugin \"" + *named + "\"",
         "PLUGIN_NOT_FOUND");
    return false;
  }
  route_ = found->second;
  return true;
}

bool Call::FindByService(std::string_view service) {
  const RouteTable& routes = worker_.routes();
  const auto providers = routes.services.find(service);
  if (providers == routes.services.end() || providers->second.empty()) {
    Fail(Outcome::kRejected, Code::kUnimplemented,
         "no plugin provides the service " + std::string(service), "SERVICE_NOT_FOUND");
    return false;
  }
  if (providers->second.size() > 1) {
    Fail(Outcome::kRejected, Code::kFailedPrecondition,
         "the service " + std::string(service) + " is provided by " + Join(providers->second) +
             ": choose one with the metadata plugind-plugin",
         "SERVICE_AMBIGUOUS");
    return false;
  }
  route_ = routes.plugins.find(providers->second.front())->second;
  return true;
}

// Which role which control method takes, the control server decides; but who has none gets nothing
// from it, reflection included.
bool Call::MayCall() {
  const Caller& caller = caller_->caller();
  const RouteTable& routes = worker_.routes();
  const std::string denial =
      to_control_ ? ControlDenial(routes, caller, path_) : Denial(routes, caller, *route_, path_);
  if (denial.empty()) return true;
  if (worker_.shared().told.denied) {
    worker_.shared().told.denied(Denied{caller.name, caller.pid, route_->plugin, path_, denial});
  }
  Fail(Outcome::kRejected, Code::kPermissionDenied, denial, "ACCESS_DENIED");
  return false;
}

void Call::Admit() {
  series_ = &worker_.mutable_stats().Series(route_->plugin, caller_->caller().kind, path_);
  series_->admitted.Add(1);
  if (series_->long_requests && !to_plugin_.ended) {
    to_plugin_.grown = caller_->Grow(caller_stream_);
  }
  if (route_->load != nullptr) {
    counted_ = true;
    const uint32_t others = route_->load->in_flight.fetch_add(1, std::memory_order_relaxed);
    if (route_->max_in_flight > 0 && others >= route_->max_in_flight) {
      return Fail(Outcome::kRejected, Code::kResourceExhausted,
                  route_->plugin + " has " + std::to_string(others) +
                      " calls in flight, which is all that call.max_in_flight allows",
                  "OVERLOADED");
    }
    constexpr int32_t kPerCall = 20;
    constexpr int32_t kMost = 1000;
    auto& budget = route_->load->retry_budget;
    if (budget.load(std::memory_order_relaxed) < kMost) {
      budget.fetch_add(kPerCall, std::memory_order_relaxed);
    }
  }
  if (traceparent_.empty() && route_->begins_traces) traceparent_ = NewTraceparent();
  idempotent_ = route_->idempotent.contains(path_);
  if (!deadline_ && timeout_text_.empty() && route_->timeout > Duration::zero()) {
    deadline_ = began_ + route_->timeout;
  }
  Dispatch();
}

// Somebody with a browser or curl: says what this is. Not before the request is complete, for until
// then it may turn out to be malformed, which is another answer (RFC 9113, 8.1.1).
void Call::AnswerPlainHttp() {
  static constexpr std::string_view kBody =
      "This is plugind, which speaks gRPC: POST with content-type application/grpc.\n"
      "Try: pluginctl status\n";
  HeaderBlock headers;
  headers.Add(":status", "415");
  headers.Add("content-type", "text/plain; charset=utf-8");
  headers.Add("content-length", std::to_string(kBody.size()));
  const bool body = http_method_ != "HEAD";
  caller_->SubmitResponse(*this, headers.List(), body);
  if (body) to_caller_.queue.Borrow(kBody);  // static: it outlives every call
  to_caller_.ended = true;
  state_ = CallState::kEnded;  // of no plugin, and no gRPC call: not counted
}

}  // namespace plugind::gateway
