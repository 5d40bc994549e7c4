// A stream of numbered items (log entries or events) that goes on where it was when the daemon dies
// and comes back, or when the server drops a reader that was too slow.
//
// Life: construct → Next until kEnd → end(). One thread. May be destroyed at any time; that hangs
// up.
#pragma once

#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <thread>
#include <utility>

#include "daemon/pluginctl/connection.h"
#include "daemon/pluginctl/deadline.h"
#include "daemon/pluginctl/error.h"

namespace plugind::pluginctl {

// How long a stream without a deadline waits for a daemon that has gone.
inline constexpr Duration kReconnectLimit = std::chrono::seconds(30);

struct LogKind {
  using Item = v1::LogEntry;
  using Request = v1::StreamLogsRequest;
  using Response = v1::StreamLogsResponse;
  static auto Open(Stub& stub, grpc::ClientContext* context, const Request& request) {
    return stub.StreamLogs(context, request);
  }
  static auto& Items(Response& response) { return *response.mutable_entries(); }
};

struct EventKind {
  using Item = v1::Event;
  using Request = v1::WatchEventsRequest;
  using Response = v1::WatchEventsResponse;
  static auto Open(Stub& stub, grpc::ClientContext* context, const Request& request) {
    return stub.WatchEvents(context, request);
  }
  static auto& Items(Response& response) { return *response.mutable_events(); }
};

template <typename Kind>
class Stream {
 public:
  using Item = typename Kind::Item;

  enum class Got {
    kItem,
    kResumed,  // the same daemon is back; items may have been skipped if too many came meanwhile
    kRenewed,  // another daemon has its place; numbers begin anew
    kEnd,
  };

  Stream(Connection& connection, typename Kind::Request request, Deadline deadline)
      : connection_(connection), request_(std::move(request)), deadline_(deadline) {}
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;
  ~Stream() {
    if (live_) HangUp();
  }

  Got Next(Item* item) {
    for (;;) {
      if (!batch_done()) {
        item->Swap(Kind::Items(response_).Mutable(position_++));
        request_.set_from_sequence(item->sequence() + 1);
        live_->fruitful = true;
        return Got::kItem;
      }
      if (!live_) {
        const bool again = std::exchange(opened_, true);
        bool renewed = false;
        if (!Open(&renewed)) return Got::kEnd;
        if (again) return renewed ? Got::kRenewed : Got::kResumed;
      }
      position_ = 0;
      Kind::Items(response_).Clear();
      if (live_->reader->Read(&response_)) continue;
      const grpc::Status status = live_->reader->Finish();
      if (!Resumable(status)) {
        end_ = status;
        live_.reset();
        return Got::kEnd;
      }
      NoteLoss();
      live_.reset();
    }
  }

  // Whether the next item has yet to come from the daemon: the moment to show what was read.
  bool batch_done() { return position_ >= Kind::Items(response_).size(); }
  // Why there is no more: OK when everything asked for was read, DEADLINE_EXCEEDED at the deadline.
  const grpc::Status& end() const { return end_; }
  // Whether the daemon was away when the stream ended.
  bool lost() const { return lost_; }

 private:
  struct Live {
    grpc::ClientContext context;
    decltype(Kind::Open(std::declval<Stub&>(), nullptr,
                        std::declval<const typename Kind::Request&>())) reader;
    Deadline opened = std::chrono::steady_clock::now();
    bool fruitful = false;  // it brought something
  };

  // A stream that follows has no end of its own.
  bool Resumable(const grpc::Status& status) const {
    if (Passed(deadline_)) return false;
    return IsLost(status) || (status.ok() && request_.follow()) || IsPassing(status);
  }

  bool Open(bool* renewed) {
    Deadline limit = deadline_;
    if (lost_since_ && deadline_ == kNever) limit = *lost_since_ + kReconnectLimit;
    if (!lost_since_) limit = std::min(limit, DeadlineAfter(kAnswerLimit));
    if (lost_since_) std::this_thread::sleep_for(pause_);
    end_ = Passed(limit) ? grpc::Status(grpc::StatusCode::UNAVAILABLE, "plugind has not come back")
                         : connection_.Identify(limit, nullptr, renewed);
    if (!end_.ok()) return false;
    lost_ = false;
    if (*renewed) request_.set_from_sequence(0);
    live_ = std::make_unique<Live>();
    live_->context.set_deadline(ToGrpc(deadline_));
    live_->context.set_wait_for_ready(true);
    live_->reader = Kind::Open(connection_.stub(), &live_->context, request_);
    return true;
  }

  // A stream that brought something or lasted a while was a success: what follows is a loss of its
  // own.
  void NoteLoss() {
    lost_ = true;
    const auto now = std::chrono::steady_clock::now();
    if (!lost_since_ || live_->fruitful || now - live_->opened > std::chrono::seconds(1)) {
      lost_since_ = now;
      pause_ = std::chrono::milliseconds(5);
    } else {
      pause_ = std::min<Duration>(2 * pause_, std::chrono::milliseconds(500));
    }
  }

  void HangUp() {
    live_->context.TryCancel();
    while (live_->reader->Read(&response_)) {
    }
    // CANCELLED, which is what was asked for.
    (void)live_->reader->Finish();
  }

  Connection& connection_;
  typename Kind::Request request_;
  const Deadline deadline_;
  typename Kind::Response response_;
  int position_ = 0;
  bool opened_ = false;
  std::unique_ptr<Live> live_;
  bool lost_ = false;
  std::optional<Deadline> lost_since_;  // when the latest loss began
  Duration pause_ = std::chrono::milliseconds(5);
  grpc::Status end_;
};

using LogStream = Stream<LogKind>;
using EventStream = Stream<EventKind>;

}  // namespace plugind::pluginctl
