// A stream of log entries or events, read on a thread of its own and handed on item by item. When
// plugind dies and comes back it goes on with the next number.
//
// The sink is called on the feed's thread, and never after the destructor, which hangs up.
#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>

#include "daemon/pluginctl/stream.h"

namespace plugind::pluginctl {

template <typename Kind>
class Feed {
 public:
  using Item = typename Kind::Item;
  using Request = typename Kind::Request;
  using Sink = std::function<void(Item)>;

  // `stub` outlives it.
  Feed(Stub& stub, Request request, Sink sink)
      : stub_(stub),
        request_(std::move(request)),
        sink_(std::move(sink)),
        thread_([this] { Run(); }) {}
  Feed(const Feed&) = delete;
  Feed& operator=(const Feed&) = delete;
  ~Feed() {
    {
      std::lock_guard lock(mutex_);
      ended_ = true;
      if (context_ != nullptr) context_->TryCancel();
    }
    wake_.notify_one();
    thread_.join();
  }

 private:
  // Between two tries.
  static constexpr auto kPause = std::chrono::milliseconds(50);

  void Run() {
    for (;;) {
      grpc::ClientContext context;
      context.set_wait_for_ready(true);
      if (!Publish(&context)) return;
      ReadAll(context);
      std::unique_lock lock(mutex_);
      context_ = nullptr;
      if (wake_.wait_for(lock, kPause, [this] { return ended_; })) return;
    }
  }

  // So that the destructor can cancel it.
  bool Publish(grpc::ClientContext* context) {
    std::lock_guard lock(mutex_);
    context_ = context;
    return !ended_;
  }

  void ReadAll(grpc::ClientContext& context) {
    const auto reader = Kind::Open(stub_, &context, request_);
    typename Kind::Response response;
    while (reader->Read(&response)) {
      for (Item& item : Kind::Items(response)) {
        request_.set_from_sequence(item.sequence() + 1);
        sink_(std::move(item));
      }
    }
    // Whatever ended it, another try tells more than its words.
    (void)reader->Finish();
  }

  Stub& stub_;
  Request request_;
  const Sink sink_;
  std::mutex mutex_;
  std::condition_variable wake_;
  grpc::ClientContext* context_ = nullptr;  // under mutex_: the stream that is open
  bool ended_ = false;                      // under mutex_
  std::thread thread_;                      // last: it uses the rest
};

using LogFeed = Feed<LogKind>;
using EventFeed = Feed<EventKind>;

}  // namespace plugind::pluginctl
