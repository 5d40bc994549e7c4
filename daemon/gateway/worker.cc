#include "daemon/gateway/worker.h"

#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <unordered_set>

#include "daemon/gateway/call.h"
#include "daemon/gateway/plugin_connection.h"

namespace plugind::gateway {
namespace {

constexpr size_t kEvents = 64;
constexpr size_t kArea = size_t{1} * 1024 * 1024;
constexpr size_t kLeastRead = size_t{128} * 1024;
constexpr size_t kFreeCalls = 1024;  // kept for reuse

}  // namespace

Worker::Worker(Shared& shared, const Clock& clock)
    : shared_(shared),
      clock_(clock),
      epoll_(::epoll_create1(EPOLL_CLOEXEC)),
      wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      routes_(std::make_shared<RouteTable>()),
      round_(clock.Now()),
      events_(kEvents),
      area_(new char[kArea]),
      linger_(timers_) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.ptr = nullptr;  // the eventfd; everything else is an EpollTarget
  if (!epoll_.valid() || !wake_.valid() ||
      ::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, wake_.get(), &event) < 0) {
    std::perror("plugind: epoll");
    std::abort();
  }
}

Worker::~Worker() {
  // Closing tells the calls, which let go of their other side.
  while (!connections_.empty()) connections_.begin()->first->Close("plugind is stopping");
  graveyard_.clear();
}

void Worker::Run() {
  while (!stopping_) Round(true);
  // What has come in the meantime still goes out, and everybody is told that it is the end.
  for (const auto& [connection, owned] : connections_) connection->Terminate(NGHTTP2_NO_ERROR);
  Round(false);
}

void Worker::Post(std::function<void()> work) {
  bool first = false;
  {
    const MutexLock lock(mutex_);
    first = posted_.empty();
    posted_.push_back(std::move(work));
  }
  if (!first) return;
  const uint64_t one = 1;
  // EAGAIN: the counter is full, and the thread will wake anyway.
  while (::write(wake_.get(), &one, sizeof one) < 0 && errno == EINTR) {
  }
}

void Worker::Stop() {
  Post([this] { stopping_ = true; });
}

void Worker::TakeRoutes(RouteTablePtr routes) {
  routes_ = std::move(routes);
  spin_.SetBound(routes_->spin);
  // Sessions with instances that no route names any more end when their last call does.
  routes_changed_ = true;
}

bool Worker::Watch(int fd, uint32_t events, EpollTarget& target) {
  epoll_event event{};
  event.events = events;
  event.data.ptr = &target;
  return ::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) == 0;
}

void Worker::Rewatch(int fd, uint32_t events, EpollTarget& target) {
  epoll_event event{};
  event.events = events;
  event.data.ptr = &target;
  ::epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, fd, &event);
}

void Worker::Unwatch(int fd) { ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr); }

void Worker::Adopt(std::unique_ptr<Connection> connection) {
  Connection* key = connection.get();
  connections_.emplace(key, std::move(connection));
}

void Worker::Bury(Connection& connection) {
  auto node = connections_.extract(&connection);
  std::erase(dirty_, &connection);
  std::erase(again_, &connection);
  // Those that are being walked through keep their places.
  for (auto* walked : {&writing_, &resuming_}) {
    std::replace(walked->begin(), walked->end(), &connection, static_cast<Connection*>(nullptr));
  }
  if (node) graveyard_.push_back(std::move(node.mapped()));
}

void Worker::Linger(UniqueFd fd) {
  ::shutdown(fd.get(), SHUT_WR);
  lingering_.emplace_back(round_ + Limits::kLinger, std::move(fd));
  if (lingering_.size() > Limits::kLingering) lingering_.pop_front();
  EndLingering();
}

void Worker::EndLingering() {
  while (!lingering_.empty() && lingering_.front().first <= round_) lingering_.pop_front();
  if (lingering_.empty()) return linger_.Clear();
  linger_.Set(lingering_.front().first, [this] { EndLingering(); });
}

void Worker::MarkDirty(Connection& connection) {
  if (connection.dirty_ || connection.closed_) return;
  connection.dirty_ = true;
  dirty_.push_back(&connection);
}

void Worker::ReadAgain(Connection& connection) {
  if (connection.reading_again_) return;
  connection.reading_again_ = true;
  again_.push_back(&connection);
}

std::span<char> Worker::ReceiveArea() {
  if (kArea - received_ < kLeastRead) WriteOut();
  return {area_.get() + received_, kArea - received_};
}

Call& Worker::NewCall() {
  if (free_calls_.empty()) {
    calls_.push_back(std::make_unique<Call>(*this));
    free_calls_.push_back(calls_.back().get());
  }
  Call& call = *free_calls_.back();
  free_calls_.pop_back();
  return call;
}

void Worker::Release(Call& call) {
  for (auto* walked : {&unsettled_, &settling_}) {
    std::replace(walked->begin(), walked->end(), &call, static_cast<Call*>(nullptr));
  }
  call.Reset();
  free_calls_.push_back(&call);
}

void Worker::MarkUnsettled(Call& call) { unsettled_.push_back(&call); }

bool Worker::Keep(const std::string& caller, ptrdiff_t bytes) {
  constexpr auto kAll = static_cast<ptrdiff_t>(Limits::kBufferedBytes);
  kept_ += bytes;
  const auto own = kept_by_.try_emplace(caller).first;
  const ptrdiff_t held = own->second += bytes;
  if (held == 0) kept_by_.erase(own);
  if (bytes <= 0) return true;
  // Where it grows short, who holds much gets no more: the rest is for the others.
  return kept_ <= kAll / 2 || (kept_ <= kAll && held <= kAll / 4);
}

PluginConnection* Worker::Connect(const InstancePtr& instance, std::string* error) {
  std::vector<PluginConnection*>& pool = pools_[instance.get()];
  for (PluginConnection* connection : pool) {
    if (connection->HasRoom()) return connection;
  }
  // All are full: one more, or else the one with the shortest queue.
  if (pool.size() < Limits::kConnectionsPerInstance) {
    if (PluginConnection* made = PluginConnection::Open(*this, instance, error)) {
      pool.push_back(made);
      return made;
    }
  }
  PluginConnection* least = nullptr;
  for (PluginConnection* connection : pool) {
    if (!connection->takes_calls()) continue;
    if (least == nullptr || connection->streams() < least->streams()) least = connection;
  }
  if (least == nullptr && pool.empty()) pools_.erase(instance.get());
  if (least == nullptr && error->empty()) *error = "every connection to it is being closed";
  return least;
}

void Worker::Disconnected(PluginConnection& connection) {
  const auto pool = pools_.find(connection.instance().get());
  if (pool == pools_.end()) return;
  std::erase(pool->second, &connection);
  if (pool->second.empty()) pools_.erase(pool);
}

bool Worker::Hold(Call& call, const std::string& plugin) {
  std::vector<Call*>& queue = held_[plugin];
  if (queue.size() >= shared_.limits.held_calls) return false;
  queue.push_back(&call);
  return true;
}

void Worker::Unhold(Call& call, const std::string& plugin) {
  const auto queue = held_.find(plugin);
  if (queue == held_.end()) return;
  std::erase(queue->second, &call);
  if (queue->second.empty()) held_.erase(queue);
}

void Worker::RetireUnrouted() {
  if (pools_.empty()) return;
  std::unordered_set<const Instance*> routed;
  const auto add = [&routed](const RoutePtr& route) {
    for (const InstancePtr& instance : route->instances) routed.insert(instance.get());
  };
  for (const auto& [name, route] : routes_->plugins) add(route);
  if (routes_->control != nullptr) add(routes_->control);
  std::vector<PluginConnection*> idle;
  for (const auto& [instance, pool] : pools_) {
    if (!routed.contains(instance)) idle.insert(idle.end(), pool.begin(), pool.end());
  }
  for (PluginConnection* connection : idle) connection->Retire();
}

void Worker::ResumeHeld() {
  routes_changed_ = false;
  // Instances that left the table take no new calls; their idle sessions are closed.
  RetireUnrouted();
  auto held = std::move(held_);
  held_.clear();
  for (auto& [plugin, calls] : held) {
    for (Call* call : calls) call->Resume();
  }
}

void Worker::RunPosted() {
  uint64_t count = 0;
  while (::read(wake_.get(), &count, sizeof count) < 0 && errno == EINTR) {
  }
  std::vector<std::function<void()>> work;
  {
    const MutexLock lock(mutex_);
    work.swap(posted_);
  }
  for (const auto& one : work) one();
}

int Worker::SleepMilliseconds() const {
  std::optional<Instant> next = timers_.Next();
  if (const auto call = call_timers_.Next(); call && (!next || *call < *next)) next = call;
  if (!next) return -1;
  const auto wait = std::chrono::ceil<std::chrono::milliseconds>(*next - clock_.Now()).count();
  return static_cast<int>(std::clamp<int64_t>(wait, 0, std::numeric_limits<int>::max()));
}

void Worker::Wait(bool block) {
  const auto poll = [this](int timeout) {
    return ::epoll_wait(epoll_.get(), events_.data(), static_cast<int>(events_.size()), timeout);
  };
  int count = block ? spin_.Poll(clock_, [&] { return poll(0); }) : poll(0);
  if (count == 0 && block) count = poll(SleepMilliseconds());
  round_ = clock_.Now();
  bool posted = false;
  for (int i = 0; i < count; ++i) {
    auto* target = static_cast<EpollTarget*>(events_[static_cast<size_t>(i)].data.ptr);
    if (target == nullptr) {
      posted = true;
    } else {
      target->OnReady(events_[static_cast<size_t>(i)].events);
    }
  }
  if (count > (posted ? 1 : 0)) spin_.SawTraffic(round_);
  if (posted) RunPosted();
}

void Worker::ReadOn() {
  for (size_t i = 0; i < resuming_.size(); ++i) {
    if (resuming_[i] != nullptr) resuming_[i]->OnReady(EPOLLIN);
  }
  resuming_.clear();
}

void Worker::Round(bool block) {
  resuming_.swap(again_);
  for (Connection* connection : resuming_) connection->reading_again_ = false;
  Wait(block && resuming_.empty());
  ReadOn();
  timers_.RunDue(round_);
  call_timers_.TakeDue(round_, [](CallTimer& timer) { static_cast<Call&>(timer).OnTimer(); });
  if (routes_changed_) ResumeHeld();
  WriteOut();
  graveyard_.clear();
  if (calls_.size() > kFreeCalls && free_calls_.size() == calls_.size()) {
    // A burst is over: none is in use.
    free_calls_.clear();
    calls_.clear();
  }
}

void Worker::WriteOut() {
  // Writing to one session can give another something to say: credit, a reset. So can settling.
  while (!dirty_.empty() || !unsettled_.empty()) {
    while (!dirty_.empty()) {
      writing_.swap(dirty_);
      for (size_t i = 0; i < writing_.size(); ++i) {
        if (writing_[i] != nullptr) writing_[i]->Write();
        if (writing_[i] != nullptr && !writing_[i]->output().empty()) writing_[i]->Settle();
      }
      writing_.clear();
    }
    settling_.swap(unsettled_);
    for (size_t i = 0; i < settling_.size(); ++i) {
      if (settling_[i] != nullptr) settling_[i]->Settle();
    }
    settling_.clear();
  }
  received_ = 0;
}

}  // namespace plugind::gateway
