// Worker is the thread on which the author's on_configure and on_drain run: one at a time, in
// order, and none of gRPC's, which a slow hook would keep from answering health. It starts with the
// first task. Thread safety: Run may be called on any thread.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>

namespace plugind::sdk {

class Worker {
 public:
  Worker() = default;
  // Finishes every task that was given to it. Nobody calls Run any more.
  ~Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  // `task` does not throw.
  void Run(std::function<void()> task);

 private:
  void Loop();

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> tasks_;
  bool over_ = false;
  std::thread thread_;
};

}  // namespace plugind::sdk
