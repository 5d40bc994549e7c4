// Two connected sockets as one: what comes in on either goes out on the other, with as much held
// back as fits into one buffer each way, and an end of sending is handed on as such.
//
// Belongs to the thread of its loop, which outlives it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

#include "daemon/base/event_loop.h"
#include "daemon/base/unique_fd.h"

namespace plugind::pluginctl {

class Bridge {
 public:
  // Both non-blocking. `ended` is posted to the loop once, when nothing can pass any more.
  Bridge(EventLoop& loop, UniqueFd left, UniqueFd right, std::function<void()> ended);
  Bridge(const Bridge&) = delete;
  Bridge& operator=(const Bridge&) = delete;
  ~Bridge();

 private:
  struct Side {
    UniqueFd fd;
    std::vector<char> out;  // not yet written to it
    bool read_ended = false;
    bool write_ended = false;  // the other side's end was handed on
    uint32_t events = 0;       // what it is watched for
  };

  void Step(size_t at);
  bool Receive(Side& from, Side& to);
  bool Send(Side& to, const Side& from);
  void Rewatch(size_t at);
  void End();

  EventLoop& loop_;
  std::array<Side, 2> sides_;
  std::function<void()> ended_;
};

}  // namespace plugind::pluginctl
