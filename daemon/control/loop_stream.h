// A server stream that is fed from the supervisor's loop: it asks for the next message, waits where
// there is none yet, and is poked when there may be one. One message is under way at a time, so a
// slow reader costs one message of memory; what it misses meanwhile stays in, or falls out of, the
// ring that it reads.
#pragma once

#include <grpcpp/support/server_callback.h>

#include <functional>
#include <memory>
#include <set>
#include <utility>

#include "daemon/base/event_loop.h"

namespace plugind::control {

class Follower {
 public:
  virtual ~Follower() = default;
  // Something may be new. On the loop.
  virtual void Poke() = 0;
  // Ends the stream with `status`, soon. On the loop.
  virtual void End(const grpc::Status& status) = 0;
};

// The streams that are open. On the loop only.
class Followers {
 public:
  void Add(Follower* follower) { all_.insert(follower); }
  void Remove(Follower* follower) { all_.erase(follower); }
  void PokeAll() {
    for (auto* follower : all_) follower->Poke();
  }
  void EndAll(const grpc::Status& status) {
    for (auto* follower : all_) follower->End(status);
  }

 private:
  std::set<Follower*> all_;
};

// What a stream has to say next.
struct Turn {
  enum class Kind : uint8_t {
    kWrite,  // the message that was filled in
    kWait,   // nothing yet
    kEnd,    // the stream ends with `status`
  };
  Kind kind;
  grpc::Status status;

  static Turn Write() { return {Kind::kWrite, {}}; }
  static Turn Wait() { return {Kind::kWait, {}}; }
  static Turn End(grpc::Status status) { return {Kind::kEnd, std::move(status)}; }
};

// Owned by gRPC until OnDone, then by the loop, where it destroys itself.
template <typename Response>
class LoopStream final : public grpc::ServerWriteReactor<Response>, public Follower {
 public:
  // Runs on the loop, never while a message is under way.
  using Next = std::function<Turn(Response*)>;

  // `admit` runs there first: unless it is OK, the stream ends with what it returns.
  LoopStream(EventLoop& loop, Followers& followers, std::function<grpc::Status()> admit, Next next)
      : loop_(loop), followers_(followers), next_(std::move(next)) {
    loop_.Post([this, admit = std::move(admit)] {
      followers_.Add(this);
      const grpc::Status admitted = admit();
      if (admitted.ok()) {
        Poke();
      } else {
        End(admitted);
      }
    });
  }

  void Poke() override {
    if (writing_ || finished_) return;
    response_.Clear();
    Turn turn = next_(&response_);
    switch (turn.kind) {
      case Turn::Kind::kWait:
        return;
      case Turn::Kind::kWrite:
        writing_ = true;
        this->StartWrite(&response_);
        return;
      case Turn::Kind::kEnd:
        End(turn.status);
        return;
    }
  }

  void End(const grpc::Status& status) override {
    if (std::exchange(finished_, true)) return;
    this->Finish(status);
  }

 private:
  void OnWriteDone(bool ok) override {
    loop_.Post([this, ok] {
      writing_ = false;
      if (ok) {
        Poke();
      } else {
        End(grpc::Status::CANCELLED);
      }
    });
  }
  void OnCancel() override {
    loop_.Post([this] { End(grpc::Status::CANCELLED); });
  }
  void OnDone() override {
    loop_.Post([this] {
      followers_.Remove(this);
      delete this;
    });
  }

  EventLoop& loop_;
  Followers& followers_;
  Next next_;
  Response response_;
  bool writing_ = false;
  bool finished_ = false;
};

}  // namespace plugind::control
