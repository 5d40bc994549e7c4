// StdoutCapture puts a pipe in the place of fd 1 and hands on what anything in the process prints
// there: printf, cout, or a library that knows no better. Used under go-plugin hosts, which discard
// our real stdout after the handshake. A thread always reads the pipe, so that a print never
// blocks.
#pragma once

#include <functional>
#include <string_view>
#include <thread>

#include "sdk/cpp/src/fd.h"

namespace plugind::sdk {

class StdoutCapture {
 public:
  // `sink` is called on the capture's thread. `original` is the real stdout, put back at the end;
  // it outlives this. Throws Failure.
  StdoutCapture(int original, std::function<void(std::string_view)> sink);
  ~StdoutCapture();
  StdoutCapture(const StdoutCapture&) = delete;
  StdoutCapture& operator=(const StdoutCapture&) = delete;

  // Flushes stdout, restores fd 1 and returns when the sink has had everything printed before.
  // Idempotent.
  void Stop();

 private:
  void Run();

  const int original_;
  std::function<void(std::string_view)> sink_;
  Fd read_end_;
  Fd wake_;  // eventfd: written once, by Stop
  std::thread thread_;
};

}  // namespace plugind::sdk
