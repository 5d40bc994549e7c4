// gRPC calls whose outcomes arrive on an event loop. gRPC's threads do one thing here: Post.
//
// A call may outlive the client that made it: it is cancelled, and its callback is dropped on the
// loop. PendingCalls counts the calls that gRPC still holds, so that the loop is not destroyed
// under one.
#pragma once

#include <grpcpp/client_context.h>
#include <grpcpp/support/client_callback.h>

#include <functional>
#include <memory>
#include <set>
#include <utility>

#include "daemon/base/event_loop.h"
#include "daemon/base/status.h"

namespace plugind::rpc {

inline absl::Status FromGrpc(const grpc::Status& status) {
  if (status.ok()) return absl::OkStatus();
  return absl::Status(static_cast<absl::StatusCode>(status.error_code()), status.error_message());
}

// The contexts of the calls under way, by which they are cancelled. On the loop only.
class PendingCalls {
 public:
  void Add(grpc::ClientContext* context) { contexts_.insert(context); }
  void Remove(grpc::ClientContext* context) { contexts_.erase(context); }
  void CancelAll() {
    for (auto* context : contexts_) context->TryCancel();
  }
  bool empty() const { return contexts_.empty(); }

 private:
  std::set<grpc::ClientContext*> contexts_;
};

// One unary call: owns what gRPC writes to until it is done.
template <typename Request, typename Response>
struct UnaryCall {
  grpc::ClientContext context;
  Request request;
  Response response;
};

// A server's stream, read one message at a time: the next is asked for when the loop has dealt with
// the last, so that a plugin that floods it is slowed down by HTTP/2 flow control and fills no
// queue here. Destroys itself at the end.
template <typename Request, typename Response>
class LoopReader final : public grpc::ClientReadReactor<Response> {
 public:
  // Both run on the loop; `done` once and last.
  LoopReader(EventLoop& loop, std::function<void(const Response&)> message,
             std::function<void(const grpc::Status&)> done)
      : loop_(loop), message_(std::move(message)), done_(std::move(done)) {}

  grpc::ClientContext& context() { return context_; }
  Request& request() { return request_; }
  // After the stub has bound this reactor to its call.
  void Begin() {
    this->AddHold();  // reads are started from the loop, outside of gRPC's reactions
    this->StartRead(&response_);
    this->StartCall();
  }

 private:
  void OnReadDone(bool ok) override {
    if (!ok) return this->RemoveHold();
    loop_.Post([this] {
      message_(response_);
      this->StartRead(&response_);
    });
  }
  void OnDone(const grpc::Status& status) override {
    loop_.Post([this, status] {
      const std::unique_ptr<LoopReader> self(this);
      done_(status);
    });
  }

  EventLoop& loop_;
  std::function<void(const Response&)> message_;
  std::function<void(const grpc::Status&)> done_;
  grpc::ClientContext context_;
  Request request_;
  Response response_;
};

}  // namespace plugind::rpc
