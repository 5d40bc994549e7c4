// The calls' deadlines: a binary heap of the calls themselves, each of which knows its place.
// Setting, moving and dropping one allocates nothing, for every call has one. On its worker's
// thread only.
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <vector>

#include "daemon/base/clock.h"

namespace plugind::gateway {

// What of a call the heap needs. Not copied while it is set.
struct CallTimer {
  static constexpr size_t kUnset = static_cast<size_t>(-1);
  Instant due;
  size_t place = kUnset;
  bool armed() const { return place != kUnset; }
};

class CallTimers {
 public:
  void Set(CallTimer& timer, Instant when) {
    if (!timer.armed()) {
      timer.place = heap_.size();
      heap_.push_back(&timer);
    }
    timer.due = when;
    Settle(timer);
  }

  void Clear(CallTimer& timer) {
    if (!timer.armed()) return;
    const size_t place = timer.place;
    timer.place = CallTimer::kUnset;
    CallTimer* const last = heap_.back();
    heap_.pop_back();
    if (last == &timer) return;
    Put(last, place);
    Settle(*last);
  }

  std::optional<Instant> Next() const {
    if (heap_.empty()) return std::nullopt;
    return heap_.front()->due;
  }

  // Clears and passes on what is due at `now`, earliest first. `expire` may set and clear any.
  void TakeDue(Instant now, const std::function<void(CallTimer&)>& expire) {
    while (!heap_.empty() && heap_.front()->due <= now) {
      CallTimer& timer = *heap_.front();
      Clear(timer);
      expire(timer);
    }
  }

 private:
  void Put(CallTimer* timer, size_t place) {
    heap_[place] = timer;
    timer->place = place;
  }
  // Up or down to where it belongs.
  void Settle(CallTimer& timer) {
    size_t place = timer.place;
    while (place > 0 && timer.due < heap_[(place - 1) / 2]->due) {
      Put(heap_[(place - 1) / 2], place);
      place = (place - 1) / 2;
    }
    while (true) {
      size_t child = place * 2 + 1;
      if (child >= heap_.size()) break;
      if (child + 1 < heap_.size() && heap_[child + 1]->due < heap_[child]->due) ++child;
      if (heap_[child]->due >= timer.due) break;
      Put(heap_[child], place);
      place = child;
    }
    Put(&timer, place);
  }

  std::vector<CallTimer*> heap_;
};

}  // namespace plugind::gateway
