// Two connected sockets as one: what comes in on either goes out on the other, with as much held
// back as fits into one buffer each way, and an end of sending is handed on as such. The right one
// may speak TLS, the left one never does.
//
// Belongs to the thread of its loop, which outlives it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "daemon/base/event_loop.h"
#include "daemon/base/unique_fd.h"
#include "daemon/tls/session.h"

namespace plugind::pluginctl {

class Bridge {
 public:
  // Gets what went wrong with TLS; empty if nothing did.
  using Ended = std::function<void(const std::string& trouble)>;

  // Both non-blocking. `right_tls`: null where the right one speaks none. `ended` is posted to the
  // loop once, when nothing can pass any more.
  Bridge(EventLoop& loop, UniqueFd left, UniqueFd right, const tls::ClientPtr& right_tls,
         Ended ended);
  Bridge(const Bridge&) = delete;
  Bridge& operator=(const Bridge&) = delete;
  ~Bridge();

 private:
  struct Side {
    UniqueFd fd;
    std::unique_ptr<tls::Session> tls;  // before ~fd; null: none
    std::vector<char> out;              // not yet written to it
    bool read_ended = false;
    bool write_ended = false;  // the other side's end was handed on
    uint32_t events = 0;       // what it is watched for
  };

  void Step();
  bool Pass(Side& from, Side& to);
  bool Receive(Side& from, Side& to);
  bool Send(Side& to, const Side& from);
  void Rewatch(size_t at);
  // What is wrong with TLS, in words; empty: nothing.
  static std::string Trouble(Side& side);
  void End();

  EventLoop& loop_;
  std::array<Side, 2> sides_;
  Ended ended_;
};

}  // namespace plugind::pluginctl
