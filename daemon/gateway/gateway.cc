#include "daemon/gateway/gateway.h"

#include <pthread.h>
#include <signal.h>

#include <algorithm>
#include <future>

#include "daemon/gateway/listener.h"
#include "daemon/gateway/worker.h"

namespace plugind::gateway {

Gateway::Gateway(uint32_t threads, const Limits& limits, const Clock& clock, Told told)
    : shared_(limits) {
  shared_.told = std::move(told);
  for (uint32_t i = 0; i < std::max(1U, threads); ++i) {
    workers_.push_back(std::make_unique<Worker>(shared_, clock));
  }
  for (const auto& worker : workers_) {
    threads_.emplace_back([&thread = *worker] {
      pthread_setname_np(pthread_self(), "gateway");
      thread.Run();
    });
  }
}

Gateway::~Gateway() {
  for (const auto& worker : workers_) worker->Stop();
  for (std::thread& thread : threads_) thread.join();
  listeners_.clear();
}

void Gateway::Publish(const RouteTablePtr& routes) {
  for (const auto& worker : workers_) {
    worker->Post([&thread = *worker, routes] { thread.TakeRoutes(routes); });
  }
}

void Gateway::Drain(const InstancePtr& instance) {
  // Each thread counts as a call until it has taken up the routes, and so can begin none.
  for (size_t i = 0; i < workers_.size(); ++i) instance->Enter();
  instance->draining = true;
  for (const auto& worker : workers_) worker->Post([instance] { instance->Leave(); });
}

void Gateway::Settle() {
  for (const auto& worker : workers_) {
    std::promise<void> done;
    worker->Post([&done] { done.set_value(); });
    done.get_future().wait();
  }
}

bool Gateway::Listen(const std::string& name, const UniqueFd& listening, Door door) {
  StopListening(name);
  const auto shared_door = std::make_shared<const Door>(std::move(door));
  for (const auto& worker : workers_) {
    UniqueFd fd = listening.Duplicate();
    if (!fd.valid()) return false;
    // Made on the worker's thread, where it is also destroyed; the box is filled there.
    auto box = std::make_shared<std::unique_ptr<Listener>>();
    auto moved = std::make_shared<UniqueFd>(std::move(fd));
    worker->Post([&thread = *worker, box, moved, shared_door] {
      *box = std::make_unique<Listener>(thread, std::move(*moved), shared_door);
    });
    listeners_[name].push_back(std::move(box));
  }
  return true;
}

void Gateway::StopListening(const std::string& name) {
  auto node = listeners_.extract(name);
  if (!node) return;
  for (size_t i = 0; i < workers_.size() && i < node.mapped().size(); ++i) {
    workers_[i]->Post([box = std::move(node.mapped()[i])] { box->reset(); });
  }
}

void Gateway::EachSeries(const std::function<void(const CallSeries&)>& visit) const {
  for (const auto& worker : workers_) worker->stats().Each(visit);
}

}  // namespace plugind::gateway
