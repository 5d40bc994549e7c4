#include "daemon/base/event_loop.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <utility>

namespace plugind {
namespace {

[[noreturn]] void Die(const char* what) {
  std::perror(what);
  std::abort();
}

}  // namespace

EventLoop::EventLoop(const Clock& clock)
    : clock_(clock),
      epoll_(::epoll_create1(EPOLL_CLOEXEC)),
      wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  if (!epoll_.valid() || !wake_.valid()) Die("event loop: epoll_create1 or eventfd");
  Watch(wake_.get(), EPOLLIN, [this](uint32_t) {
    uint64_t count = 0;
    (void)!::read(wake_.get(), &count, sizeof count);
  });
}

EventLoop::~EventLoop() = default;

void EventLoop::Watch(int fd, uint32_t events, FdCallback callback) {
  const bool known = watched_.contains(fd);
  const uint64_t generation = ++generation_;
  watched_[fd] = std::make_shared<Registration>(Registration{std::move(callback), generation});
  epoll_event event{};
  event.events = events;
  // The fd and the low half of the generation: an event fetched for an earlier owner of this number
  // is recognised.
  event.data.u64 = (generation << 32U) | static_cast<uint32_t>(fd);
  if (::epoll_ctl(epoll_.get(), known ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &event) < 0) {
    Die("event loop: epoll_ctl");
  }
}

void EventLoop::Unwatch(int fd) {
  if (watched_.erase(fd) == 0) return;
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr) < 0) Die("event loop: epoll_ctl DEL");
}

void EventLoop::Post(std::function<void()> work) {
  bool first = false;
  {
    const MutexLock lock(mutex_);
    first = posted_.empty();
    posted_.push_back(std::move(work));
  }
  if (!first) return;  // whoever made the queue non-empty has woken the loop
  const uint64_t one = 1;
  (void)!::write(wake_.get(), &one, sizeof one);
}

void EventLoop::Stop() {
  Post([this] { stopping_ = true; });
}

void EventLoop::RunPosted() {
  std::vector<std::function<void()>> batch;
  {
    const MutexLock lock(mutex_);
    batch.swap(posted_);
  }
  for (auto& work : batch) {
    work();
    work = nullptr;  // destroyed in order, and outside the lock
  }
}

void EventLoop::Round(const Duration* longest) {
  timers_.RunDue(clock_.Now());
  RunPosted();
  if (stopping_) return;

  std::optional<Duration> sleep;
  if (longest != nullptr) sleep = *longest;
  if (const auto next = timers_.Next()) {
    const Duration until = std::max(Duration::zero(), *next - clock_.Now());
    sleep = sleep ? std::min(*sleep, until) : until;
  }
  timespec timeout{};
  if (sleep) {
    timeout.tv_sec = static_cast<time_t>(sleep->count() / 1'000'000'000);
    timeout.tv_nsec = static_cast<long>(sleep->count() % 1'000'000'000);
  }
  std::array<epoll_event, 64> events{};
  const int count = ::epoll_pwait2(epoll_.get(), events.data(), static_cast<int>(events.size()),
                                   sleep ? &timeout : nullptr, nullptr);
  if (count < 0 && errno != EINTR) Die("event loop: epoll_pwait2");
  for (int i = 0; i < count; ++i) {
    const epoll_event& event = events[static_cast<size_t>(i)];
    const int fd = static_cast<int>(event.data.u64 & 0xffffffffU);
    const auto it = watched_.find(fd);
    if (it == watched_.end() || (it->second->generation & 0xffffffffU) != event.data.u64 >> 32U) {
      continue;
    }
    const auto registration = it->second;
    registration->callback(event.events);
  }
}

void EventLoop::Run() {
  stopping_ = false;
  while (!stopping_) Round(nullptr);
}

void EventLoop::RunOnce(Duration longest) { Round(&longest); }

}  // namespace plugind
